"""Naming where an error was raised."""

import pytest

from minicnn import Tensor, nn
from minicnn.tensor import Function
from minicnn.training.culprit import culprit


class Failing(Function):
    name = "failing"

    def __init__(self, fails_in):
        self.fails_in = fails_in

    def forward(self, x):
        return self.compute(x, "forward")

    def backward(self, gy):
        return (self.compute(gy, "backward"),)

    def compute(self, x, where):
        if where == self.fails_in:
            raise RuntimeError
        return x.copy()


class Layer(nn.Module):
    def __init__(self, fails_in):
        super().__init__()
        self.fails_in = fails_in

    def forward(self, x):
        if self.fails_in == "layer":
            raise RuntimeError
        return Failing(self.fails_in).apply(x)


@pytest.mark.parametrize(
    ("fails_in", "named"),
    [
        ("forward", "failing in 1.0"),
        ("backward", "the gradient of failing in 1.0"),
        ("layer", "1.0"),
        ("step", "something outside of its layers"),
    ],
)
def test_the_innermost_is_named(fails_in, named):
    model = nn.Sequential(nn.ReLU(), nn.Sequential(Layer(fails_in)))

    def step():
        model(Tensor([1.0], requires_grad=True)).sum().backward()
        raise RuntimeError

    with pytest.raises(RuntimeError) as caught:
        step()
    assert culprit(caught.value, model) == named

    def wrapped_step():
        try:
            step()
        except RuntimeError as error:
            raise ValueError("wrapped") from error

    with pytest.raises(ValueError, match="wrapped") as wrapped:
        wrapped_step()
    assert culprit(wrapped.value, model) == named
