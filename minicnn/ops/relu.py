"""Rectified linear unit.

    y  = max(x, 0)
    gx = gy * (y > 0)             where the unit was off, the gradient is zero; at x = 0 too

    x, y   any shape

Derivation: docs/ops/relu.md.
"""

from __future__ import annotations

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.parallel import scratch
from minicnn.tensor import Function, Tensor


class ReLU(Function):
    """Positive part."""

    name = "relu"
    takes_integers = True

    def forward(self, x: Array) -> Array:
        """Return y; saves y, which is positive exactly where x is."""
        y = array_module(x).maximum(x, 0)
        self.save(y)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (y,) = self.saved
        return (gy * (y > 0),)

    def branches(self) -> Array:
        """Tell which units are on."""
        (y,) = self.saved
        return y > 0


def relu_gradient(gy: Array, y: Array, out: Array) -> None:
    """Write gy * (y > 0), the gradient through a ReLU whose output is y, into out; out may be gy."""
    xp = array_module(y)
    on = scratch("on", y.shape, y, np.bool_)
    xp.multiply(gy, xp.greater(y, 0, out=on), out=out)


def relu(x: Tensor) -> Tensor:
    """Replace negative values by zero.

    Parameters
    ----------
    x : Tensor of any shape
        float32 or float64.

    Returns
    -------
    Tensor of the shape of x
        max(x, 0), elementwise. The gradient at 0 is 0.

    References
    ----------
    Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.

    Examples
    --------
    >>> relu(Tensor([-1.0, 0.0, 2.0])).data
    array([0., 0., 2.], dtype=float32)
    """
    return ReLU().apply(x)
