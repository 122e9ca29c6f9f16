"""The first wrong op is found inside a whole network, and no right one is ever blamed."""

from dataclasses import replace

import numpy as np
import pytest

from minicnn import Function, Tensor, gradcheck, nn, tensor
from minicnn import functional as F
from minicnn.gradient_check.differences import Settings
from minicnn.gradient_check.findings import Failure, Kink, WrongOp
from minicnn.gradient_check.recording import Choice, first_difference, run
from minicnn.gradient_check.report import GradcheckReport, InputReport
from minicnn.gradient_check.single_op import SingleOp
from minicnn.ops.max_pool import MaxPool2d
from minicnn.ops.relu import ReLU

# ---- ops as a student may write them: forward is right, backward has one slip ----


class Swish(Function):
    name = "swish"

    def forward(self, x):
        sigmoid = 1 / (1 + np.exp(-x))
        self.save(x, sigmoid)
        return x * sigmoid

    def backward(self, gy):
        x, sigmoid = self.saved
        return (gy * (sigmoid + x * sigmoid),)  # one factor (1 - sigmoid) is missing


class Mixing(Function):
    """A square matrix applied to the channels."""

    name = "mixing"

    def forward(self, x, w):
        self.save(x, w)
        return x @ w

    def backward(self, gy):
        x, w = self.saved
        rows, gy_rows = x.reshape(-1, x.shape[-1]), gy.reshape(-1, gy.shape[-1])
        return gy @ w.T, gy_rows.T @ rows  # transposed


class Frame(Function):
    """A border of two zeros above and left, one below and right."""

    name = "frame"

    def forward(self, x):
        return np.pad(x, ((0, 0), (2, 1), (2, 1), (0, 0)))

    def backward(self, gy):
        return (gy[:, 1:-2, 1:-2],)  # cut off at the wrong side


class Corner(Function):
    """The identity, wrong at a single one of its inputs."""

    name = "corner"

    def forward(self, x):
        return x.copy()

    def backward(self, gy):
        gx = gy.copy()
        gx[0, -1, 0, 1] = 0
        return (gx,)


class Greedy(Function):
    """Twice its input; works on the gradient it was given, which somebody else may hold."""

    name = "greedy"

    def forward(self, x):
        return 2 * x

    def backward(self, gy):
        gy *= 2
        return (gy,)


class Op(nn.Module):
    """A layer that applies one of the ops above."""

    def __init__(self, op, weight=None):
        super().__init__()
        self.op = op
        self.weight = None if weight is None else nn.Parameter(weight)

    def forward(self, x):
        return self.op().apply(x) if self.weight is None else self.op().apply(x, self.weight)


class Network(nn.Module):
    """Convolution, an inception module, a layer under test in a block, and a classifier; all in float64."""

    def __init__(self, suspect, rng):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, activation="relu", rng=rng)
        self.inception = nn.Inception(4, 1, 2, 1, 2, 1, 1, rng=rng)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 1, rng=rng), suspect)
        self.norm = nn.LocalResponseNorm(3, alpha=1.0)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.fc = nn.Linear(4, 3, rng=rng)
        self.astype(np.float64)

    def forward(self, x):
        x = self.block(self.inception(self.conv(x)))
        return self.fc(F.global_avg_pool2d(self.pool(self.norm(x))))


def check_network(model, rng, samples=3):
    """Check all parameters and the images; returns the report and the names of the inputs."""
    x = rng.standard_normal((2, 6, 6, 2))
    names = ["x", *dict(model.named_parameters())]
    return gradcheck(lambda x, *_: model(x), [x, *model.parameters()], samples=samples, rng=rng), names


def wrong_inputs(report, names):
    return {names[failure.input] for failure in report.failures}


def test_the_network_itself_is_right(rng):
    report, _ = check_network(Network(nn.ReLU(), rng), rng, samples=10)
    assert report, str(report)


BELOW = {"x", "conv.weight", "conv.bias", "inception.conv1x1.weight", "block.0.weight", "block.0.bias"}


@pytest.mark.parametrize(
    ("op", "position"), [(Swish, 0), (Frame, 0)], ids=["missing factor", "wrong padding"]
)
def test_a_wrong_op_inside_a_network_is_named(rng, op, position):
    report, names = check_network(Network(Op(op), rng), rng)
    assert not report
    assert wrong_inputs(report, names) >= BELOW
    assert not wrong_inputs(report, names) & {"fc.weight", "fc.bias"}, "above the mistake all is right"
    for failure in report.failures:
        culprit = failure.first_wrong_op
        assert (culprit.op, culprit.module_path, culprit.input) == (op.name, "block.1", position)
        assert abs(culprit.analytic - culprit.numeric) > 1e-3
        errors = [error for _, error in culprit.errors_by_eps]
        assert errors == pytest.approx([culprit.analytic - culprit.numeric] * 4, rel=1e-3)
    text = str(report)
    assert "First op on the backward path whose own gradient is wrong" in text
    assert f"{op.name} in block.1, input {position} at [" in text
    assert text.count(f"{op.name} in block.1") == 1, "said once, not for every parameter below it"


def test_a_transposed_weight_gradient_is_named_and_leaves_the_layers_below_alone(rng):
    report, names = check_network(Network(Op(Mixing, rng.standard_normal((4, 4))), rng), rng, samples=16)
    assert wrong_inputs(report, names) == {"block.1.weight"}
    culprit = report.failures[0].first_wrong_op
    assert (culprit.op, culprit.module_path, culprit.input) == ("mixing", "block.1", 1)
    row, column = culprit.index
    assert row != column, "the diagonal of a transposed matrix is right"


def test_a_mistake_at_a_single_coordinate_is_found(rng):
    """Only that coordinate is ever reported, and in 2 * 64 * 64 * 3 others nothing is wrong."""
    images = rng.standard_normal((2, 64, 64, 3))
    weight = rng.standard_normal((3,))
    report = gradcheck(lambda w: Corner().apply(Tensor(images) * w), [weight], rng=rng)
    assert not report
    culprit = report.failures[0].first_wrong_op
    assert (culprit.op, culprit.index, culprit.analytic) == ("corner", (0, 63, 0, 1), 0.0)


def test_an_op_that_changes_its_argument_is_named(rng):
    def fn(x):
        return F.tanh(x) + Greedy().apply(x)

    report = gradcheck(lambda x: fn(x) + fn(x), [rng.standard_normal((2, 3))], rng=rng)
    assert not report
    assert report.failures[0].first_wrong_op.op == "greedy"
    assert "greedy: its backward changes its argument gy in place" in str(report)


def test_an_op_that_masks_its_argument_does_not_change_what_it_is_compared_with(rng):
    """The quotients are of the cotangent as it was drawn, not as such a backward leaves it."""

    class Masking(Function):
        name = "masking"

        def forward(self, x):
            self.save(x > 0)
            return np.maximum(x, 0)

        def backward(self, gy):
            gy *= self.saved[0]
            return (gy,)

    report = gradcheck(lambda x: x + Masking().apply(x), [np.array([1.0, -1.0])], rng=rng)
    assert [failure.index for failure in report.failures] == [(1,)]
    assert "masking: its backward changes its argument gy in place" in str(report)


def test_a_missing_sum_in_the_walk_is_no_op_s_fault(rng, monkeypatch):
    def forget_the_others(in_flight, ours, tensor, gradient, fresh):
        in_flight[tensor] = gradient

    monkeypatch.setattr(tensor, "_add_contribution", forget_the_others)
    report, names = check_network(Network(nn.ReLU(), rng), rng)
    assert wrong_inputs(report, names) >= {"x", "conv.weight"}
    assert not wrong_inputs(report, names) & {"block.0.weight", "inception.conv1x1.weight"}
    assert {failure.first_wrong_op for failure in report.failures} == {None}
    assert "\n\nNo op is wrong by itself\n" in str(report)
    assert "conv.weight: look at how" in str(report) or "input 1: look at how the contributions" in str(
        report
    )


def test_of_two_wrong_ops_the_one_nearer_to_the_end_comes_first(rng, monkeypatch):
    monkeypatch.setattr(MaxPool2d, "backward", _scaled(MaxPool2d.backward, 1.01))
    model = Network(Op(Swish), rng)
    report, names = check_network(model, rng)
    assert {failure.first_wrong_op.op for failure in report.failures} == {"max_pool2d"}
    assert {failure.first_wrong_op.module_path for failure in report.failures} == {"pool"}


def test_the_path_leads_through_the_wrong_input_only(rng):
    """Two mistakes side by side: each parameter is told about the one on its own way."""

    class WrongWeight(Function):
        name = "wrong_weight"

        def forward(self, x, w):
            self.save(x, w)
            return x * w

        def backward(self, gy):
            x, w = self.saved
            return gy * w, 2 * gy * x

    def fn(x, w):
        return WrongWeight().apply(Swish().apply(x), w)

    report = gradcheck(fn, [rng.standard_normal(3), rng.standard_normal(3)], rng=rng)
    assert {(f.input, f.first_wrong_op.op, f.first_wrong_op.input) for f in report.failures} == {
        (0, "swish", 0),
        (1, "wrong_weight", 1),
    }


def test_an_op_whose_result_is_not_used_is_not_blamed(rng):
    def fn(x):
        y = Swish().apply(x)
        Corner().apply(y.reshape(1, 1, 1, -1))
        return y

    report = gradcheck(fn, [rng.standard_normal(3)], rng=rng)
    assert {failure.first_wrong_op.op for failure in report.failures} == {"swish"}


def test_a_wrong_relu_is_found_beside_kinks(rng, monkeypatch):
    """Half of the ReLU's inputs are zero, whatever the weights: by itself it can only be judged elsewhere."""
    monkeypatch.setattr(ReLU, "backward", lambda self, gy: (gy * (self.saved[0] > 0) * 1.01,))
    x = np.where(rng.random((3, 40)) < 0.5, 0.0, rng.uniform(1, 2, (3, 40)))
    report = gradcheck(lambda a: F.relu(Tensor(x) * a), [np.ones(40)], rng=rng)
    assert len(report.failures) == (x.max(axis=0) > 0).sum()
    assert not report.kinks
    culprit = report.failures[0].first_wrong_op
    assert (culprit.op, culprit.analytic / culprit.numeric) == ("relu", pytest.approx(1.01))
    assert x[culprit.index] > 0


def _scaled(backward, factor):
    return lambda self, gy: tuple(g if g is None else g * factor for g in backward(self, gy))


# ---- one op ----


def test_every_recorded_op_of_a_network_is_right_by_itself(rng):
    steps = []
    model = Network(nn.ReLU(), rng)
    run(lambda x: model(x), [Tensor(rng.standard_normal((2, 8, 8, 2)))], steps)
    assert len(steps) > 20
    saved = [step.function.saved for step in steps]
    for step in steps:
        for position, needed in enumerate(step.function.needs_gradient):
            if needed:
                found = SingleOp(step, Settings(1e-6, 1e-6, 1e-4), rng).wrong_gradient(position)
                assert found is None, str(found)
    assert all(step.function.saved is before for step, before in zip(steps, saved, strict=True))


def test_an_op_that_changes_its_input_is_named(rng):
    class InPlace(Function):
        name = "in_place"

        def forward(self, x):
            x += 1
            return x * 2

        def backward(self, gy):
            return (2 * gy,)

    steps = []
    run(lambda x: InPlace().apply(x * 1), [Tensor(rng.standard_normal(3), requires_grad=True)], steps)
    found = SingleOp(steps[-1], Settings(1e-6, 1e-6, 1e-4), rng).wrong_gradient(0)
    assert str(found) == "in_place: its forward changes its input 0 in place"


def test_a_wrong_op_and_what_no_op_is_to_blame_for_are_both_reported():
    culprit = WrongOp("swish", "block.1", 0, (2,), 1.0, 2.0)
    failures = (
        Failure(0, "x", (0,), 1.0, 2.0, first_wrong_op=culprit),
        Failure(1, "w", (1,), 1.0, 2.0, explanation="w: look at how it is added up"),
    )
    inputs = tuple(InputReport(name, (3,), 3, 0, 1, 1.0, 0.5, 1.0) for name in ("x", "w"))
    text = str(GradcheckReport(failures=failures, inputs=inputs))
    first = text.index(
        "\n\nFirst op on the backward path whose own gradient is wrong, for a random gy of its own"
        "\n  swish in block.1, input 0 at"
    )
    assert first < text.index("\n\nNo op is wrong by itself\n  w: look at how it is added up")


def test_where_two_runs_part_is_named_with_its_module():
    relu = Choice("relu", "block.1", np.array([True, False]))
    other = relu._replace(branches=np.array([True, True]))
    longer = relu._replace(branches=np.array([True, True, False]))
    pool = relu._replace(op="max_pool2d", module_path="pool")
    assert first_difference([relu], [relu]) is None
    assert first_difference([relu], [other]) == ("relu", "block.1", (1,))
    assert first_difference([relu], [longer]) == ("relu", "block.1", ())
    assert first_difference([relu], [pool]) == ("relu", "block.1", ())
    assert (
        first_difference([relu, pool], [relu])
        == first_difference([relu], [relu, pool])
        == ("max_pool2d", "pool", ())
    )


def test_a_kink_is_named_with_the_op_and_its_module():
    kink = Kink(0, "x", (2, 1), "relu", "block.1", (3,))
    assert str(kink) == "x[2, 1]: relu in block.1 at element [3]"
    assert str(replace(kink, element=())) == "x[2, 1]: relu in block.1"
