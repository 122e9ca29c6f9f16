"""gradcheck: what passes, what fails, what is a kink, and what cannot be checked."""

import numpy as np
import pytest

from minicnn import DTypeError, Function, ShapeError, Tensor, UsageError, gradcheck, nn, no_grad
from minicnn import functional as F


class Square(Function):
    """x squared, whose backward may be off by a relative error."""

    name = "square"

    def __init__(self, relative_error: float = 0.0) -> None:
        self.factor = 1 + relative_error

    def forward(self, x):
        self.save(x)
        return x * x

    def backward(self, gy):
        (x,) = self.saved
        return (2 * x * gy * self.factor,)


def square(x: Tensor, relative_error: float = 0.0) -> Tensor:
    return Square(relative_error).apply(x)


# ---- right gradients ----


def test_right_gradients_pass(rng):
    report = gradcheck(
        lambda x, w, b: F.max_pool2d(F.conv2d(x, w, b, padding=1).relu(), 2),
        [rng.standard_normal(shape) for shape in [(2, 4, 4, 3), (3, 3, 3, 4), (4,)]],
        rng=rng,
    )
    assert report
    assert report.failures == ()
    assert report.checked == 96 + 108 + 4
    assert 0 < report.max_abs_err < 1e-7
    assert 0 < report.max_rel_err < 1e-6
    assert "passed, 208 of 208 coordinates right, 0 at a kink" in str(report)
    assert [i.shape for i in report.inputs] == [(2, 4, 4, 3), (3, 3, 3, 4), (4,)]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_right_gradients_of_any_size_pass(rng, scale):
    for _ in range(20):
        report = gradcheck(
            lambda x: square(x) * scale, [rng.standard_normal((3, 4))], atol=1e-6 * scale, rng=rng
        )
        assert report, str(report)


def test_right_gradients_below_the_resolution_of_float64_pass(rng):
    """The second output is 1 minus 1e-13: what x adds to it is lost in rounding, whatever eps is."""
    report = gradcheck(F.softmax, [np.array([[0.0, 30.0]])], rng=rng)
    assert report, str(report)
    labels = np.array([1])
    assert gradcheck(lambda x: F.cross_entropy(x, labels), [np.array([[0.0, 30.0]])], rng=rng)


def test_the_rounding_of_x_plus_eps_does_not_count(rng):
    """Around 1e6 numbers are 1e-10 apart: x + eps and x - eps are 1e-10 off, in 2e-6."""
    report = gradcheck(lambda x: x * 2, [np.array([1e6 + 0.1])], rng=rng)
    assert report.max_rel_err < 1e-12


def test_inputs_in_every_form(rng):
    x = rng.standard_normal((2, 3))
    for inputs in (x, [x], (x,), Tensor(x), [Tensor(x)], [Tensor(x, requires_grad=True)], [x.T]):
        report = gradcheck(F.tanh, inputs, rng=rng)
        assert report
        assert report.checked == 6
    assert gradcheck(lambda a, b: a * b, [2.0, np.float64(3.0)], rng=rng).checked == 2
    assert gradcheck(lambda x: x.transpose() @ x, [Tensor(x) * 2], rng=rng)


# ---- wrong gradients ----


@pytest.mark.parametrize("relative_error", [1e-4, -1e-4, 1e-2, -1.0])
@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_relative_errors_from_1e_4_on_are_caught(rng, relative_error, scale):
    for _ in range(10):
        x = rng.standard_normal((3, 4))
        report = gradcheck(lambda x: square(x, relative_error) * scale, [x], rng=rng)
        assert not report
        failure = report.failures[0]
        assert failure.analytic == pytest.approx(failure.numeric * (1 + relative_error), rel=1e-5)
        assert report.max_rel_err == pytest.approx(abs(relative_error), rel=0.05)
        assert failure.first_wrong_op.op == "square"


def test_what_a_failure_tells(rng):
    x = np.array([[1.0, -2.0, 3.0]])
    report = gradcheck(lambda x: F.tanh(x) + square(x, -1.0)[:, 1], [x], rng=rng)
    assert not report
    assert {(failure.input, failure.index) for failure in report.failures} == {(0, (0, 1))}
    failure = report.failures[0]
    assert abs(failure.numeric) > 1
    assert [eps for eps, _ in failure.errors_by_eps] == pytest.approx([1e-4, 1e-5, 1e-6, 1e-7])
    assert all(error == pytest.approx(failure.analytic - failure.numeric, rel=1e-3)
               for _, error in failure.errors_by_eps)  # fmt: skip
    text = str(report)
    assert "FAILED, 1 of 3 coordinates wrong" in text
    assert "input 0[0, 1]: backward " in text
    assert "the error stays whatever eps is" in text
    assert "square, input 0 at [0, " in text


def test_tolerances_are_kept(rng):
    x = rng.standard_normal((3, 4))
    assert not gradcheck(lambda x: square(x, 0.01), [x], rng=rng)
    assert gradcheck(lambda x: square(x, 0.01), [x], rtol=0.05, rng=rng)
    assert gradcheck(lambda x: square(x, 0.01), [x], atol=1.0, rng=rng)
    assert not gradcheck(lambda x: square(x, 0.01) * 100, [x], atol=0.1, rng=rng)


def test_an_error_of_the_quotient_is_told_from_one_of_the_gradient(rng):
    """With eps = 0.1 the difference quotient of exp is off by 0.2%, and by less for smaller steps."""
    report = gradcheck(lambda x: x.exp(), [np.array([1.0])], eps=0.1, rng=rng)
    assert not report
    assert report.failures[0].first_wrong_op is None
    assert report.failures[0].explanation.endswith("difference quotient; try another eps")
    assert "the error moves with eps" in str(report)


def test_too_few_step_widths_say_nothing(rng):
    """The ReLU's kink is 3e-6 away: of the four step widths the larger two cross it."""
    report = gradcheck(lambda x: F.relu(square(x, 0.5) - 1), [np.array([1 + 3e-6])], rng=rng)
    assert [eps for eps, _ in report.failures[0].errors_by_eps] == pytest.approx([1e-6, 1e-7])
    assert "kinks at the other step widths" in str(report)
    assert "moves with eps:" not in str(report)
    assert report.failures[0].first_wrong_op.op == "square"


def test_cotangents_are_random(rng):
    """Softmax sums to one: with cotangents of ones this backward would be right."""

    class NoSoftmax(Function):
        name = "no_softmax"

        def forward(self, x):
            y = np.exp(x)
            return y / y.sum(axis=-1, keepdims=True)

        def backward(self, gy):
            return (np.zeros_like(gy),)

    assert not gradcheck(lambda x: NoSoftmax().apply(x), [rng.standard_normal((2, 3))], rng=rng)


def test_an_input_that_bypasses_the_graph_is_found(rng):
    report = gradcheck(lambda x: Tensor(x.data) * x, [rng.standard_normal(3)], rng=rng)
    assert not report
    assert "look at how the contributions" in str(report)
    with no_grad():
        report = gradcheck(F.tanh, [rng.standard_normal(3)], rng=rng)
    assert not report
    assert "no recorded op leads from here to the result" in str(report)


# ---- kinks ----


class MyReLU(Function):
    """A ReLU that does not declare its kink; its slopes on the left and on the right can be changed."""

    name = "my_relu"

    def __init__(self, left: float = 0.0, right: float = 1.0) -> None:
        self.left, self.right = left, right

    def forward(self, x):
        self.save(x)
        return np.maximum(x, 0)

    def backward(self, gy):
        (x,) = self.saved
        return (gy * np.where(x > 0, self.right, self.left),)


UNDECLARED = "or here is a kink that my_relu does not declare (Function.branches)"


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("others", [(1.0, -3.0), (), (0.0,) * 7])
def test_a_kink_that_is_not_declared_fails_and_is_said_to_be_possible(rng, others, scale):
    for _ in range(5):
        report = gradcheck(lambda x: MyReLU().apply(x) * scale, [np.array([*others, 0.0])], rng=rng)
        assert not report
        assert len(report.failures) == 1 + others.count(0.0)
        assert str(report).count(UNDECLARED) == 2
        assert report.failures[0].first_wrong_op.kink


def test_a_kink_of_a_curve_is_seen_too(rng):
    report = gradcheck(lambda x: MyReLU().apply(x).exp() + 40 * x * x, [np.array([[0.0]])], rng=rng)
    assert str(report).count(UNDECLARED) == 2


@pytest.mark.parametrize("x", [[1.0, 0.0, -3.0], [0.0, 0.0, 2.0, -1.0], [2.0, -1.0], [1e-3, -1e-3]])
@pytest.mark.parametrize(("left", "right"), [(1.0, 0.5), (0.1, 0.1), (-1.0, 2.0)])
def test_what_is_plainly_wrong_is_shown_first(rng, x, left, right):
    """Also beside a kink, and with the curvature of other ops above and below."""
    for _ in range(5):
        report = gradcheck(lambda x: (MyReLU(left, right).apply(x + x * x) * 3).exp(), [np.array(x)], rng=rng)
        assert not report
        text = str(report)
        assert text.count("the error stays whatever eps is: the gradient is wrong") == 2
        assert "kink that" not in text


@pytest.mark.parametrize("slope", [-0.5, 1.5])
def test_at_a_kink_what_no_side_has_is_wrong(rng, slope):
    report = gradcheck(lambda x: MyReLU(left=slope).apply(x), [np.zeros(())], rng=rng)
    assert not report
    assert "kink that" not in str(report)


@pytest.mark.parametrize("curvature", [0.0, 1.0, 1e6])
def test_where_the_function_is_smooth_no_kink_is_suspected(rng, curvature):
    report = gradcheck(lambda x: square(x, 0.5) * (1 + curvature) + x, [rng.standard_normal(5)], rng=rng)
    assert not report
    assert "kink that" not in str(report)


def test_kinks_are_listed_and_are_neither_right_nor_wrong(rng):
    report = gradcheck(F.relu, [np.array([[0.5, 0.0, -1.0], [0.0, 2.0, -3.0]])], rng=rng)
    assert report
    assert [(k.input, k.index, k.op, k.module_path, k.element) for k in report.kinks] == [
        (0, (0, 1), "relu", "", (0, 1)),
        (0, (1, 0), "relu", "", (1, 0)),
    ]
    assert report.inputs[0].kinks == 2
    assert "passed, 4 of 6 coordinates right, 2 at a kink" in str(report)
    assert "input 0[0, 1]: relu at element [0, 1]" in str(report)
    assert report.max_abs_err < 1e-8, "the kinks' errors of a half do not count"


def test_a_kink_lies_within_eps_of_the_input(rng):
    near = np.array([5e-7])
    assert gradcheck(F.relu, [near], eps=1e-6, rng=rng).kinks
    assert not gradcheck(F.relu, [near], eps=1e-7, rng=rng).kinks


@pytest.mark.parametrize(
    ("op", "name", "x"),
    [
        (lambda x: F.max_pool2d(x, 2), "max_pool2d", np.zeros((1, 2, 2, 1))),
        (lambda x: x.max(axis=1), "max", np.zeros((3, 2))),
        (lambda x: F.conv2d_relu(x, Tensor(np.ones((1, 1, 1, 1)))), "conv2d_relu", np.zeros((1, 2, 1, 1))),
    ],
)
def test_ties_are_kinks(rng, op, name, x):
    report = gradcheck(op, [x], rng=rng)
    assert report.failures == ()
    assert len(report.kinks) == x.size
    assert {kink.op for kink in report.kinks} == {name}
    assert "undecided" in str(report)
    assert f"all {x.size} coordinates that were looked at are kinks: nothing can be said" in str(report)


def test_kinks_name_the_module(rng):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).astype(np.float64)
    for parameter in model.parameters():
        parameter.data = np.zeros(parameter.shape)
    report = gradcheck(model, [rng.standard_normal((1, 2))], rng=rng)
    assert not report.kinks, "with weights of zero the inputs have no influence on the ReLU"
    weights = [getattr(model, "0").weight]
    report = gradcheck(lambda w: model(Tensor(np.ones((1, 2)))), weights, rng=rng)
    assert {(kink.op, kink.module_path) for kink in report.kinks} == {("relu", "1")}


def test_a_wrong_gradient_beside_kinks_is_found(rng):
    x = np.array([0.0, 1.0, -1.0])
    report = gradcheck(lambda x: F.relu(x) + square(x, 0.5), [x], rng=rng)
    assert [failure.index for failure in report.failures] == [(1,), (2,)]
    assert [kink.index for kink in report.kinks] == [(0,)]


def test_a_function_that_branches_itself_has_a_kink_there(rng):
    def fn(x):
        y = F.relu(x + 10)
        return y if x.data[0] > 0 else F.relu(y * 2)

    assert gradcheck(fn, [np.array([1.0])], rng=rng)
    (kink,) = gradcheck(fn, [np.array([0.0])], rng=rng).kinks
    assert (kink.op, kink.element) == ("relu", ())


# ---- what cannot be checked ----


def test_a_random_function_is_reported(rng):
    report = gradcheck(F.dropout, [rng.standard_normal((3, 4))], rng=rng)
    assert not report
    assert not report.failures
    assert "fn gives different results for the same input" in str(report)
    assert "Make the generator anew inside fn" in report.problem
    fixed = gradcheck(
        lambda x: F.dropout(x, rng=np.random.default_rng(0)), [rng.standard_normal((3, 4))], rng=rng
    )
    assert fixed


def test_a_function_that_changes_slowly_is_reported(rng):
    calls = []

    def fn(x):
        calls.append(1)
        return x * (1.0 if len(calls) < 8 else 2.0)

    assert "different results" in gradcheck(fn, [rng.standard_normal(2)], rng=rng).problem


def test_a_function_of_changing_shape_is_reported(rng):
    def fn(x):
        return x[np.arange(len(x))[x.data > 0]]

    assert gradcheck(fn, [np.array([1.0, -1.0])], rng=rng)
    with pytest.raises(
        ShapeError, match=r"expected results of one shape, got \(1,\) at x, \(2,\) at x \+ eps"
    ):
        gradcheck(fn, [np.array([1.0, 0.0])], rng=rng)


def test_a_result_that_is_no_number_is_reported(rng):
    report = gradcheck(lambda x: x.log(), [np.array([1.0, 0.0])], rng=rng)
    assert not report
    assert "fn returned -inf at [1]" in report.problem


def test_a_step_out_of_the_domain_is_a_failure_not_a_warning(rng):
    report = gradcheck(lambda x: x.sqrt(), [np.array([1.0, 1e-7])], rng=rng)
    (failure,) = report.failures
    assert failure.index == (1,)
    assert np.isnan(failure.numeric)
    assert np.isnan(report.max_abs_err)
    assert not np.isnan(failure.analytic)


@pytest.mark.parametrize(
    ("fn", "inputs", "settings", "error", "match"),
    [
        (F.relu, [np.zeros(2, np.float32)], {}, DTypeError, r"input 0: expected float64, got float32; use x"),
        (
            F.relu,
            [np.zeros(2), np.zeros(2, int)],
            {},
            DTypeError,
            r"input 1: expected float64, got int64; k",
        ),
        (
            lambda x: Tensor(x.data.astype(np.float32)),
            [np.zeros(2)],
            {},
            DTypeError,
            r"float64, got float32; does it convert something, .* \(module\.astype\(np\.float64\)\)\?$",
        ),
        (lambda x: (x, x), [np.zeros(2)], {}, UsageError, r"expected it to return a Tensor, got tuple"),
        (F.relu, [], {}, UsageError, r"inputs: expected at least one array or Tensor, got none"),
        (F.relu, [np.zeros(2)], {"eps": 0}, UsageError, r"eps: expected a step width greater than 0, got 0"),
        (F.relu, [np.zeros(2)], {"atol": -1}, UsageError, r"atol: expected at least 0, got -1"),
        (F.relu, [np.zeros(2)], {"rtol": np.nan}, UsageError, r"rtol: expected at least 0, got nan"),
        (
            F.relu,
            [np.zeros(2)],
            {"samples": 0},
            ShapeError,
            r"^gradcheck: samples: expected at least 1, got 0",
        ),
        (F.relu, [np.array([1e12])], {}, UsageError, r"changes input 0\[0\] = 1e\+12, got 1e-06"),
    ],
)
def test_bad_arguments(fn, inputs, settings, error, match):
    with pytest.raises(error, match=match):
        gradcheck(fn, inputs, **settings)


def test_one_function_object_for_all_runs_is_refused(rng):
    with pytest.raises(RuntimeError, match="<square> is applied a second time; make a new Function"):
        gradcheck(Square().apply, [rng.standard_normal(3)])


# ---- samples ----


@pytest.mark.parametrize("samples", [1, 10, 29])
def test_samples_are_distinct_coordinates_of_each_input(rng, samples):
    inputs = [np.zeros((5, 6)), np.zeros((1, 6))]
    seen = gradcheck(lambda a, b: F.relu(a) + F.relu(b), inputs, rng=rng, samples=samples)
    assert [i.checked for i in seen.inputs] == [samples, min(6, samples)]
    assert len({kink.index for kink in seen.kinks if kink.input == 0}) == samples


def test_without_a_generator_samples_vary():
    drawn = {tuple(k.index for k in gradcheck(F.relu, [np.zeros(1000)], samples=3).kinks) for _ in range(5)}
    assert len(drawn) > 1


# ---- nothing is left changed ----


def test_inputs_and_gradients_are_left_alone(rng):
    array = rng.standard_normal((2, 3))
    array.flags.writeable = False
    layer = nn.Linear(3, 2).astype(np.float64)
    layer.weight.grad = before = np.full((3, 2), 7.0)
    x = Tensor(array)
    middle = Tensor(array, requires_grad=True) * 2
    creator = middle.creator

    assert gradcheck(lambda x, y: layer(x * y), [x, middle], rng=rng)
    assert x.data is array
    assert (x.requires_grad, x.grad) == (False, None)
    assert middle.creator is creator
    assert layer.weight.grad is before
    assert layer.bias.grad is None

    assert gradcheck(lambda w: layer(x), [layer.weight], rng=rng)
    assert layer.weight.grad is before


def test_inputs_come_back_after_an_error(rng):
    x = Tensor(np.array([1.0, 2.0]))

    def fn(t):
        if t.data[1] != 2:
            raise RuntimeError("stop")
        return t * 2

    with pytest.raises(RuntimeError, match="stop"):
        gradcheck(fn, [x], rng=rng)
    assert x.data.tolist() == [1.0, 2.0]
    assert not x.requires_grad


def test_an_input_without_influence_is_mentioned(rng):
    report = gradcheck(lambda a, b: a * 2, [rng.standard_normal(2), np.ones(3)], rng=rng)
    assert report
    assert "input 1: it has no influence on the result" in str(report)
    assert "no elements" in str(gradcheck(lambda a: a.sum(), [np.ones((0, 3))], rng=rng))
