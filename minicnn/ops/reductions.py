"""Sum, mean and maximum over axes.

    y = sum of x    gx = gy, copied to every element that was summed
    y = mean of x   gx = gy / count, likewise
    y = max of x    gx = gy where the maximum was found (the first in row-major order), zero elsewhere

    x   any shape; y has lost the axes that were reduced, or keeps them with size 1 (keepdims)

Derivation: docs/ops/reductions.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from minicnn.backend import Array, array_module
from minicnn.errors import ShapeError
from minicnn.shapes import axis_number
from minicnn.tensor import Function, Tensor, check_tensor

Axis = int | Sequence[int] | None


class _Reduction(Function):
    def __init__(self, axes: tuple[int, ...], keepdims: bool) -> None:
        self.axes = axes
        self.keepdims = keepdims

    def spread(self, gy: Array, shape: tuple[int, ...]) -> Array:
        """Copy gy along the reduced axes, back to the shape of x (as a view)."""
        kept = tuple(1 if i in self.axes else size for i, size in enumerate(shape))
        return array_module(gy).broadcast_to(gy.reshape(kept), shape)


class Sum(_Reduction):
    """Sum over axes."""

    name = "sum"
    takes_integers = True

    def forward(self, x: Array) -> Array:
        """Return y; remembers the shape of x."""
        self.shape = x.shape
        return x.sum(axis=self.axes, keepdims=self.keepdims, dtype=x.dtype)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        return (self.spread(gy, self.shape),)


class Mean(_Reduction):
    """Mean over axes."""

    name = "mean"

    def forward(self, x: Array) -> Array:
        """Return y; remembers the shape of x."""
        self.shape = x.shape
        return x.mean(axis=self.axes, keepdims=self.keepdims, dtype=x.dtype)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        count = math.prod(self.shape[axis] for axis in self.axes)
        return (self.spread(gy / count, self.shape),)


class Max(_Reduction):
    """Maximum over axes."""

    name = "max"
    takes_integers = True

    def forward(self, x: Array) -> Array:
        """Return y; saves where in the reduced axes the (first) maximum was."""
        self.shape = x.shape
        rows = self._reduced_last(x)
        self.save(rows.argmax(axis=-1))
        return x.max(axis=self.axes, keepdims=self.keepdims)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (winners,) = self.saved
        xp = array_module(gy)
        kept = [i for i in range(len(self.shape)) if i not in self.axes]
        moved_shape = tuple(self.shape[i] for i in (*kept, *self.axes))
        rows = xp.zeros((*winners.shape, math.prod(self.shape[i] for i in self.axes)), gy.dtype)
        xp.put_along_axis(rows, winners[..., None], gy.reshape(winners.shape)[..., None], axis=-1)
        order = (*kept, *self.axes)
        return (rows.reshape(moved_shape).transpose(sorted(range(len(order)), key=order.__getitem__)),)

    def branches(self) -> Array | None:
        """Return the place of each winner among the reduced elements."""
        return self.saved[0] if self.saved else None

    def _reduced_last(self, x: Array) -> Array:
        """Bring the reduced axes to the end, as one: (kept..., reduced)."""
        kept = [i for i in range(x.ndim) if i not in self.axes]
        moved = x.transpose(*kept, *self.axes)
        return moved.reshape(*moved.shape[: len(kept)], -1)


def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Add up elements.

    Parameters
    ----------
    x : Tensor of any shape
    axis : int or sequence of int, optional
        Axes to reduce; left out, all.
    keepdims : bool, default=False
        Keep the reduced axes with size 1.

    Raises
    ------
    ShapeError
        If there is no such axis.

    Examples
    --------
    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0).data
    array([4., 6.], dtype=float32)
    """
    return Sum(_axes("sum", x, axis), keepdims).apply(x)


def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Average elements; arguments as for `sum`.

    Examples
    --------
    >>> mean(Tensor([[1.0, 2.0], [3.0, 4.0]])).item()
    2.5
    """
    return Mean(_axes("mean", x, axis, nonempty=True), keepdims).apply(x)


def max(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Find the largest elements; arguments as for `sum`. Of equal elements the first gets the gradient.

    Examples
    --------
    >>> max(Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=1).data
    array([2., 3.], dtype=float32)
    """
    return Max(_axes("max", x, axis, nonempty=True), keepdims).apply(x)


def _axes(op: str, x: Tensor, axis: Axis, nonempty: bool = False) -> tuple[int, ...]:
    """Return the axes to reduce as distinct numbers from 0, in order."""
    check_tensor(op, "x", x)
    wanted = range(x.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    axes = []
    for a in wanted:
        number = axis_number(op, a, x.shape)
        if number in axes:
            raise ShapeError(f"{op}: axis: expected distinct axes of shape {x.shape}, got {axis}")
        axes.append(number)
    if nonempty and 0 in (x.shape[a] for a in axes):
        raise ShapeError(f"{op}: x: expected at least one element to reduce, got shape {x.shape}")
    return tuple(sorted(axes))
