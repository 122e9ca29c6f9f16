"""Exponential, logarithm and square root.

    y = exp(x)      gx = gy * y
    y = log(x)      gx = gy / x
    y = sqrt(x)     gx = gy / (2 * y)

    x, y   any shape

Derivation: docs/ops/elementwise.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.tensor import Function, Tensor


class Exp(Function):
    """Exponential function."""

    name = "exp"

    def forward(self, x: Array) -> Array:
        """Return y; saves y."""
        y = array_module(x).exp(x)
        self.save(y)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (y,) = self.saved
        return (gy * y,)


class Log(Function):
    """Natural logarithm."""

    name = "log"

    def forward(self, x: Array) -> Array:
        """Return y; saves x."""
        self.save(x)
        return array_module(x).log(x)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (x,) = self.saved
        return (gy / x,)


class Sqrt(Function):
    """Square root."""

    name = "sqrt"

    def forward(self, x: Array) -> Array:
        """Return y; saves y."""
        y = array_module(x).sqrt(x)
        self.save(y)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (y,) = self.saved
        return (gy / (2 * y),)


def exp(x: Tensor) -> Tensor:
    """Compute e to the power x, elementwise.

    Examples
    --------
    >>> exp(Tensor([0.0, 1.0])).data.round(3)
    array([1.   , 2.718], dtype=float32)
    """
    return Exp().apply(x)


def log(x: Tensor) -> Tensor:
    """Compute the natural logarithm, elementwise.

    Examples
    --------
    >>> log(Tensor([1.0, 10.0])).data
    array([0.       , 2.3025851], dtype=float32)
    """
    return Log().apply(x)


def sqrt(x: Tensor) -> Tensor:
    """Compute the square root, elementwise.

    Examples
    --------
    >>> sqrt(Tensor([4.0, 9.0])).data
    array([2., 3.], dtype=float32)
    """
    return Sqrt().apply(x)
