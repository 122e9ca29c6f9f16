"""Logistic sigmoid.

    y  = 1 / (1 + exp(-x))
    gx = gy * y * (1 - y)         at most a quarter of gy: stacked sigmoids starve the layers below

    x, y   any shape

Derivation: docs/ops/sigmoid.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.tensor import Function, Tensor


class Sigmoid(Function):
    """Logistic function."""

    name = "sigmoid"

    def forward(self, x: Array) -> Array:
        """Return y; saves y."""
        xp = array_module(x)
        # exp(-|x|) cannot overflow: for x < 0 the fraction is extended by exp(x).
        decay = xp.exp(-abs(x))
        y = xp.where(x >= 0, 1, decay) / (1 + decay)
        self.save(y)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (y,) = self.saved
        return (gy * y * (1 - y),)


def sigmoid(x: Tensor) -> Tensor:
    """Squash values into (0, 1).

    Parameters
    ----------
    x : Tensor of any shape
        float32 or float64.

    Returns
    -------
    Tensor of the shape of x
        1 / (1 + exp(-x)), elementwise.

    Examples
    --------
    >>> sigmoid(Tensor([-1000.0, 0.0, 1000.0])).data
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return Sigmoid().apply(x)
