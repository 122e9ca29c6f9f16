"""Logarithm of softmax.

    y_i  = x_i - log sum over j of exp(x_j)
    gx_i = gy_i - exp(y_i) * sum over j of gy_j

    x, y   any shape, the sums run along one axis

Computed at once and not as log(softmax(x)): where a probability underflows to zero, its logarithm would
be minus infinity, while x_i - log-sum-exp is a plain number.

Derivation: docs/ops/log_softmax.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.ops.softmax import nonempty_axis
from minicnn.tensor import Function, Tensor


class LogSoftmax(Function):
    """Scores minus the logarithm of the sum of their exponentials."""

    name = "log_softmax"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Return y; saves y."""
        y = log_probabilities(x, self.axis)
        self.save(y)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (y,) = self.saved
        return (gy - array_module(y).exp(y) * gy.sum(axis=self.axis, keepdims=True),)


def log_probabilities(x: Array, axis: int) -> Array:
    """Compute x - log(sum(exp(x))) along an axis, without overflow."""
    xp = array_module(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Turn scores into logarithms of probabilities.

    Parameters
    ----------
    x : Tensor of any shape
        Scores (logits), float32 or float64.
    axis : int, default=-1
        The axis along which the probabilities sum to one.

    Returns
    -------
    Tensor of the shape of x

    Raises
    ------
    ShapeError
        If the axis does not exist, or has no elements.

    Examples
    --------
    >>> log_softmax(Tensor([1000.0, 0.0])).data
    array([    0., -1000.], dtype=float32)
    """
    return LogSoftmax(nonempty_axis("log_softmax", x, axis)).apply(x)
