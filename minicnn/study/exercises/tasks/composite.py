"""Ops whose backward leaves something out, to predict what forgetting it in a larger piece leads to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

import numpy as np

from minicnn import functional as F
from minicnn.study.exercises.exercise import Predict, Trial
from minicnn.tensor import Function, Tensor


class UnmaskedReLU(Function):
    """A ReLU that lets every gradient pass."""

    name = "unmasked_relu"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        return np.maximum(x, 0)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gy."""
        return (gy,)


class ValueOf(Function):
    """Another array in the place of x, as if it were x."""

    name = "value_of"

    def __init__(self, other: np.ndarray) -> None:
        self.other = other

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the other array."""
        return self.other.copy()

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gy."""
        return (gy,)


def relu(x: Tensor, name: str, unmasked: Collection[str]) -> Tensor:
    """Apply a ReLU, without its mask in backward if its name is among `unmasked`."""
    return UnmaskedReLU().apply(x) if name in unmasked else F.relu(x)


def seen_by(x: Tensor, name: str, lost: Collection[str]) -> Tensor:
    """Return x as the branch of that name sees it; what it sends back is lost if it is among `lost`."""
    return x.detach() if name in lost else x


def with_value(x: Tensor, other: Tensor) -> Tensor:
    """Return a tensor that has the value of another one, and whose gradient goes to x."""
    return ValueOf(other.data).apply(x)


def gradients_of(function: Callable[..., Tensor]) -> Predict:
    """Predict the gradients of a function that leaves something out; all at once, for there are many."""

    @functools.lru_cache(maxsize=8)
    def predicted(trial: Trial) -> dict[str, np.ndarray]:
        return trial.gradients_of(function)

    return lambda trial, name: predicted(trial)[name]


def on_the_way(
    function: Callable[..., Tensor], trial: Trial, result: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Run `function(..., kept=...)`; return all that it keeps, and the gradient of one of these results."""
    kept: dict[str, Tensor] = {}
    tensors = [Tensor(x, requires_grad=True) for x in trial.sample.inputs]
    y = function(*tensors, **trial.sample.settings, kept=kept)
    kept[result].retain_grad()
    y.backward(trial.gy)
    gradient = kept[result].grad
    assert gradient is not None
    return {name: t.data for name, t in kept.items()}, gradient


def listed(names: Collection[str]) -> str:
    """Write "the 1x1 and the 5x5".

    Examples
    --------
    >>> listed(["1x1", "3x3", "5x5"])
    'the 1x1, the 3x3 and the 5x5'
    """
    first, *others = [f"the {name}" for name in names]
    return ", ".join([first, *others[:-1]]) + (f" and {others[-1]}" if others else "")
