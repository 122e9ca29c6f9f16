"""Concatenation along an axis: where the branches of an inception module meet.

    y = x_1 next to x_2 next to ... along the axis
    gx_k = the slice of gy that x_k was copied to

With channels 64, 128, 32, 32, the first branch's gradient is gy[..., 0:64], the second's
gy[..., 64:192], and so on: concatenation computes nothing, so its gradient only cuts apart again.
The slices are views of gy, not copies.

Derivation: docs/ops/concat.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from minicnn.backend import Array
from minicnn.buffers import empty
from minicnn.errors import ShapeError
from minicnn.shapes import axis_number
from minicnn.tensor import Function, Tensor, check_tensor


class Concat(Function):
    """Arrays side by side."""

    name = "concat"
    takes_integers = True

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *xs: Array) -> Array:
        """Return y; remembers where each input begins and ends."""
        ends = list(itertools.accumulate(x.shape[self.axis] for x in xs))
        self.bounds = list(itertools.pairwise([0, *ends]))
        shape = list(xs[0].shape)
        shape[self.axis] = ends[-1]
        y = empty(tuple(shape), xs[0])
        for x, part in zip(xs, self._parts(y), strict=True):
            part[...] = x
        return y

    def backward(self, gy: Array) -> tuple[Array, ...]:
        """Return the slice of gy that belongs to each input, as a view."""
        return tuple(self._parts(gy))

    def _parts(self, joined: Array) -> list[Array]:
        before = (slice(None),) * self.axis
        return [joined[(*before, slice(start, end))] for start, end in self.bounds]


def concat(tensors: Sequence[Tensor], axis: int = -1) -> Tensor:
    """Join tensors along an axis.

    Parameters
    ----------
    tensors : sequence of Tensor
        At least one; of equal shapes except along `axis`.
    axis : int, default=-1
        For images the last axis is that of the channels.

    Returns
    -------
    Tensor
        Its size along `axis` is the sum of the inputs'.

    Raises
    ------
    ShapeError
        If there is no tensor, the axis does not exist, or other sizes differ.

    Examples
    --------
    >>> concat([Tensor([[1.0], [2.0]]), Tensor([[3.0, 4.0], [5.0, 6.0]])]).data
    array([[1., 3., 4.],
           [2., 5., 6.]], dtype=float32)
    """
    if len(tensors) == 0:
        raise ShapeError("concat: tensors: expected at least one, got none")
    for t in tensors:
        check_tensor("concat", "tensors", t)
    first = tensors[0].shape
    axis = axis_number("concat", axis, first)
    for index, t in enumerate(tensors):
        if t.shape[:axis] + t.shape[axis + 1 :] != first[:axis] + first[axis + 1 :] or t.ndim != len(first):
            raise ShapeError(
                f"concat: tensors: expected equal shapes except along axis {axis}, "
                f"got {first} first and {t.shape} at position {index}"
            )
    return Concat(axis).apply(*tensors)
