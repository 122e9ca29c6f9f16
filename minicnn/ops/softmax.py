"""Softmax.

    y_i  = exp(x_i) / sum over j of exp(x_j)
    gx_i = y_i * (gy_i - sum over j of gy_j * y_j)

    x, y   any shape, the sums run along one axis

The largest x is subtracted first: it cancels in the fraction and keeps exp from overflowing. The
gradients of the logits sum to zero, because softmax does not change when all x move together.

Derivation: docs/ops/softmax.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.errors import ShapeError
from minicnn.shapes import axis_number
from minicnn.tensor import Function, Tensor, check_tensor


class Softmax(Function):
    """Exponentials, scaled to sum to one."""

    name = "softmax"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Return y; saves y."""
        y = array_module(x).exp(x - x.max(axis=self.axis, keepdims=True))
        y /= y.sum(axis=self.axis, keepdims=True)
        self.save(y)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (y,) = self.saved
        return (y * (gy - (gy * y).sum(axis=self.axis, keepdims=True)),)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Turn scores into probabilities.

    Parameters
    ----------
    x : Tensor of any shape
        Scores (logits), float32 or float64.
    axis : int, default=-1
        The axis along which the result sums to one.

    Returns
    -------
    Tensor of the shape of x

    Raises
    ------
    ShapeError
        If the axis does not exist, or has no elements.

    Examples
    --------
    >>> softmax(Tensor([[0.0, 0.0], [1000.0, 0.0]])).data
    array([[0.5, 0.5],
           [1. , 0. ]], dtype=float32)
    """
    return Softmax(nonempty_axis("softmax", x, axis)).apply(x)


def nonempty_axis(op: str, x: Tensor, axis: int) -> int:
    """Return the axis, counted from 0, or raise ShapeError unless x has it and it is not empty."""
    check_tensor(op, "x", x)
    number = axis_number(op, axis, x.shape)
    if x.shape[number] == 0:
        raise ShapeError(f"{op}: x: expected at least one element along axis {axis}, got shape {x.shape}")
    return number
