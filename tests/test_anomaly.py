"""detect_anomaly: the first number that is not finite, where it came from, and nothing left behind."""

import re
import threading

import numpy as np
import pytest

from minicnn import AnomalyError, Tensor, composed, detect_anomaly, models, nn, no_grad
from minicnn import functional as F
from minicnn.op_cases import CASES
from minicnn.tensor import Function, _state
from op_runs import run, threads


def caught(function) -> AnomalyError:
    """Run `function` inside detect_anomaly and return the error."""
    with pytest.raises(AnomalyError) as error, detect_anomaly():
        function()
    assert "\n" not in str(error.value)
    return error.value


def line_of(function) -> str:
    """Name the file and the first line of a function, whose only line it is."""
    return f"{__file__}:{function.__code__.co_firstlineno}"


class GivesNaNBack(Function):
    """The identity, whose gradient is NaN at one place."""

    name = "broken"

    def forward(self, x, w):
        return x + w

    def backward(self, gy):
        gw = gy.copy()
        gw[1, 2] = np.nan
        return gy, gw


def test_an_output_is_named_with_place_number_and_line():
    x = Tensor(np.ones((2, 3)))
    x.data[1, 0] = 0
    x.data[1, 2] = 0
    call = lambda: x.log()  # noqa: E731
    error = caught(call)
    assert str(error) == (
        "the output of log is -inf at [1, 0] (2 of 6 numbers are not finite); its inputs are finite; "
        f"the op was called at {line_of(call)}"
    )
    assert error.origin == "log"


def test_a_gradient_is_named_with_its_input_and_the_line_of_the_forward_call():
    x, w = (Tensor(np.ones((2, 3)), requires_grad=True) for _ in range(2))
    with detect_anomaly():
        call = lambda: GivesNaNBack().apply(x, w)  # noqa: E731
        y = call().sum()
        with pytest.raises(AnomalyError) as error:
            y.backward()
    assert str(error.value) == (
        "the gradient of w in broken is nan at [1, 2] (1 of 6 numbers is not finite); the gradient it was "
        f"given and its inputs are finite; the op was called at {line_of(call)}"
    )
    assert error.value.origin == "the gradient of w in broken"


def test_gradients_that_nobody_wants_are_nobodys_concern():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    with detect_anomaly():
        GivesNaNBack().apply(x, Tensor(np.ones((2, 3)))).sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))


def test_numbers_that_came_from_outside_are_told_from_an_ops_own():
    x, bad = Tensor(np.ones(2)), Tensor(np.array([1.0, np.nan]))
    assert re.search(r"output of add .*; its input b was not finite already", str(caught(lambda: x + bad)))
    assert "its input 1 was not finite already" in str(caught(lambda: F.concat([x, bad])))


def test_a_gradient_that_backward_was_given():
    x = Tensor(np.ones(2), requires_grad=True)
    error = caught(lambda: (x * 2).backward(np.array([1.0, np.inf])))
    assert re.match(
        r"the gradient of its output in multiply is inf at \[1\] .*backward\(\) was given it", str(error)
    )


def test_a_sum_of_finite_gradients_that_is_too_large():
    """Of a tensor with two consumers, inside the graph and at a leaf."""
    huge = np.array([3e38, 1.0], np.float32)

    def inside():
        x = Tensor(np.ones(2, np.float32), requires_grad=True)
        y = x * np.float32(1e-3)
        (y + y).backward(huge)

    def at_a_leaf():
        x = Tensor(np.ones(2, np.float32), requires_grad=True)
        (x + x).backward(huge)

    assert str(caught(inside)).startswith("the gradient of its output in multiply is inf at [0]")
    assert re.match(r"the gradient of \w+ in add is inf at \[0\] .*sum of finite", str(caught(at_a_leaf)))


def test_a_number_without_axes_has_no_place():
    assert str(caught(lambda: Tensor(np.array(0.0)).log())).startswith(
        "the output of log is -inf; its inputs are finite"
    )


@pytest.mark.parametrize("form", ["fused", "composed"])
def test_a_network_names_the_layer(form):
    model = models.googlenet_cifar(width=0.06, rng=np.random.default_rng(0))
    model.inception3b.conv3x3.weight.data[...] = 3e38
    x = Tensor(np.full((2, 32, 32, 3), 1e3, np.float32))

    def step():
        if form == "fused":
            model(x)
        else:
            with composed():
                model(x)

    error = caught(step)
    assert error.origin == {
        "fused": "inception in inception3b", "composed": "conv2d in inception3b.conv3x3"
    }[form]  # fmt: skip
    assert f"called at {__file__}:" in str(error)


class Mine(nn.Module):
    def forward(self, x):
        return x.sqrt()


def test_the_line_is_one_of_a_users_module():
    x = Tensor(np.zeros(1), requires_grad=True)
    error = caught(lambda: nn.Sequential(nn.ReLU(), Mine())(x).sum().backward())
    assert "gradient of x in sqrt in 1 is inf" in str(error)
    assert str(error).endswith(f"{__file__}:{Mine.forward.__code__.co_firstlineno + 1}")


@pytest.mark.parametrize("count", [1, 3])
def test_results_are_the_same_and_numpy_is_silent(count, rng):
    """Warnings are errors here; the threads of the pool are told to be silent too."""
    x = rng.standard_normal((64, 256)).astype(np.float32)
    alone = run(F.softmax, [x], {})
    with detect_anomaly(), threads(count):
        together = run(F.softmax, [x], {})
        with pytest.raises(AnomalyError, match="exp is inf"):
            (Tensor(x) * np.float32(1e30)).exp()
    np.testing.assert_array_equal(alone.y, together.y)
    np.testing.assert_array_equal(alone.gradients[0], together.gradients[0])


def test_every_op_may_be_looked_at(rng):
    for case in CASES.values():
        sample = case.samples(rng)[0]
        alone = run(case.function, sample.inputs, sample.settings)
        with detect_anomaly():
            looked_at = run(case.function, sample.inputs, sample.settings)
        np.testing.assert_array_equal(alone.y, looked_at.y)


# ---- nothing is left behind ----


def test_it_nests_and_ends_with_the_block():
    x = Tensor([0.0])
    before = np.geterr()
    with detect_anomaly():
        with detect_anomaly():
            pass
        with pytest.raises(AnomalyError):
            x.log()
        with pytest.raises(AnomalyError), no_grad():
            x.log()
    with pytest.raises(ZeroDivisionError), detect_anomaly():
        raise ZeroDivisionError
    assert _state.observers == []
    assert _state.recording
    assert np.geterr() == before
    with np.errstate(all="ignore"):
        assert np.isinf(x.log().data).all()


def test_it_is_of_one_thread():
    results = []

    def elsewhere():
        with np.errstate(all="ignore"):
            results.append(Tensor([0.0]).log().item())

    with detect_anomaly():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert results == [-np.inf]


def test_the_graph_is_not_kept_alive():
    x = Tensor(np.ones(3), requires_grad=True)
    with detect_anomaly():
        for _ in range(3):
            (x * x).sum().backward()
        (detector,) = _state.observers
        assert len(detector.calls) == 0
        assert detector.leaves == {}
