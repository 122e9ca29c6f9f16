"""Hyperbolic tangent.

    y  = tanh(x)
    gx = gy * (1 - y^2)           one at x = 0, almost nothing where the unit saturates

    x, y   any shape

Derivation: docs/ops/tanh.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.tensor import Function, Tensor


class Tanh(Function):
    """Hyperbolic tangent."""

    name = "tanh"

    def forward(self, x: Array) -> Array:
        """Return y; saves y."""
        y = array_module(x).tanh(x)
        self.save(y)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (y,) = self.saved
        return (gy * (1 - y * y),)


def tanh(x: Tensor) -> Tensor:
    """Squash values into (-1, 1).

    Parameters
    ----------
    x : Tensor of any shape
        float32 or float64.

    Returns
    -------
    Tensor of the shape of x
        tanh(x), elementwise.

    Examples
    --------
    >>> tanh(Tensor([0.0, 100.0])).data
    array([0., 1.], dtype=float32)
    """
    return Tanh().apply(x)
