"""Reshape, transpose, flatten and indexing: ops that only move elements.

    y = x, elements in another arrangement
    gx = gy, every element back where it came from

With indexing an element may be picked several times (then it receives the sum) or not at all (zero).

Derivation: docs/ops/shaping.md.
"""

from __future__ import annotations

import math
from typing import Any

from minicnn.backend import Array, array_module
from minicnn.errors import ShapeError
from minicnn.shapes import axis_number, integer
from minicnn.tensor import Function, Tensor, check_tensor


class Reshape(Function):
    """The same elements, in the same order, in another shape."""

    name = "reshape"
    takes_integers = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        """Return y; remembers the shape of x."""
        self.old_shape = x.shape
        return x.reshape(self.shape)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        return (gy.reshape(self.old_shape),)


class Transpose(Function):
    """Axes in another order."""

    name = "transpose"
    takes_integers = True

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def forward(self, x: Array) -> Array:
        """Return y."""
        return x.transpose(self.axes)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx: the inverse permutation."""
        return (gy.transpose(sorted(range(len(self.axes)), key=self.axes.__getitem__)),)


class GetItem(Function):
    """Some of the elements."""

    name = "getitem"
    takes_integers = True

    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, x: Array) -> Array:
        """Return y; remembers the shape of x."""
        self.shape = x.shape
        return x[self.index]

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        xp = array_module(gy)
        gx = xp.zeros(self.shape, gy.dtype)
        xp.add.at(gx, self.index, gy)  # unlike gx[index] += gy, adds again where an index is repeated
        return (gx,)


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """Arrange the elements in another shape, in row-major order.

    Parameters
    ----------
    x : Tensor of any shape
    *shape : ints, or one tuple of ints
        With as many elements; one size may be -1 and is worked out.

    Raises
    ------
    ShapeError
        If the number of elements does not fit.

    Examples
    --------
    >>> reshape(Tensor([1.0, 2.0, 3.0, 4.0]), 2, -1).data
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    check_tensor("reshape", "x", x)
    wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    sizes = tuple(integer("reshape", "shape", size, minimum=-1) for size in wanted)
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known and x.size % known == 0:
        sizes = tuple(x.size // known if size == -1 else size for size in sizes)
    if -1 in sizes or math.prod(sizes) != x.size:
        raise ShapeError(
            f"reshape: shape: expected one with the {x.size} elements of shape {x.shape}, got {tuple(wanted)}"
        )
    return Reshape(sizes).apply(x)


def flatten(x: Tensor) -> Tensor:
    """Join all axes but the first: (N, H, W, C) becomes (N, H*W*C).

    Raises
    ------
    ShapeError
        If x has no axes.

    Examples
    --------
    >>> flatten(Tensor([[[1.0, 2.0]], [[3.0, 4.0]]])).shape
    (2, 2)
    """
    check_tensor("flatten", "x", x)
    if x.ndim == 0:
        raise ShapeError("flatten: x: expected shape (N, ...), got ()")
    return Reshape((x.shape[0], math.prod(x.shape[1:]))).apply(x)


def transpose(x: Tensor, *axes: Any) -> Tensor:
    """Put the axes in another order; without arguments, in reverse.

    Raises
    ------
    ShapeError
        If `axes` does not name every axis once.

    Examples
    --------
    >>> transpose(Tensor([[1.0, 2.0, 3.0]]), 1, 0).shape
    (3, 1)
    """
    check_tensor("transpose", "x", x)
    wanted = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    order = tuple(axis_number("transpose", a, x.shape) for a in wanted)
    order = order or tuple(reversed(range(x.ndim)))
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"transpose: axes: expected each axis of shape {x.shape} once, got {tuple(wanted)}")
    return Transpose(order).apply(x)


def getitem(x: Tensor, index: Any) -> Tensor:
    """Pick elements with anything that indexes a NumPy array.

    Raises
    ------
    ShapeError
        If the index does not fit.

    Examples
    --------
    >>> getitem(Tensor([1.0, 2.0, 3.0]), [0, 0, 2]).data
    array([1., 1., 3.], dtype=float32)
    """
    try:
        return GetItem(index).apply(x)
    except IndexError as error:
        raise ShapeError(f"getitem: index: {error} (shape {x.shape})") from None
