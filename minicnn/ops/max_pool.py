"""Max pooling.

    y[n, p, q, c] = max over i, j of  x_pad[n, p*SH + i, q*SW + j, c]

    x   (N, H, W, C)              x_pad is x with -inf around it: padding never wins
    y   (N, OH, OW, C)

The gradient goes to the winner of each window and to nobody else; with ties, to the first in row-major
order. A pixel that won several overlapping windows receives the sum:

    gx[n, h, w, c] = sum of gy[n, p, q, c] over the windows (p, q) that (h, w) won

The maximum of a window is the maximum over its rows of the maximum along each row. So we pool twice,
with a 1 x KW and then with a KH x 1 window: KW + KH comparisons instead of KH * KW. Each pass remembers
the winner's place in its window (one byte is enough up to 256 places), and the backward pass sends the
gradient back the same way: first to the winning row, then to the winning pixel in it. The first row that
holds the maximum, and the first place in that row, is the first place in row-major order.

The padding is never made: a place that falls on it is left out of the comparison.

Derivation: docs/ops/max_pool2d.md.
"""

from __future__ import annotations

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.errors import ShapeError
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch
from minicnn.shapes import Padding, Size, Window, check_image_batch, window
from minicnn.tensor import Function, Tensor, check_tensor

ROWS, COLUMNS = 1, 2  # axes of (N, H, W, C)

# For one place of a one-dimensional window: which outputs meet a pixel with it, and which pixels they meet.
Met = tuple[slice, slice]


class MaxPool2d(Function):
    """Largest value of each window, channel by channel."""

    name = "max_pool2d"

    def __init__(self, window: Window) -> None:
        self.window = window
        self.rows_met = [window.rows_met(i) for i in range(window.KH)]
        self.columns_met = [window.columns_met(j) for j in range(window.KW)]

    def forward(self, x: Array) -> Array:
        """Return y; saves for both passes which place won (nothing if no backward pass will come)."""
        xp = array_module(x)
        (N, H, _, C), w = x.shape, self.window
        y = xp.empty((N, w.OH, w.OW, C), x.dtype)
        along_rows = along_columns = None
        if self.is_recorded:
            along_rows = xp.empty((N, H, w.OW, C), place_dtype(w.KW))
            along_columns = xp.empty((N, w.OH, w.OW, C), place_dtype(w.KH))
        self.save(along_rows, along_columns)

        def forward_tile(index: int, tile: Tile) -> None:
            row_maxima = scratch("row maxima", (tile.stop - tile.start, H, w.OW, C), x)
            winners = None if along_rows is None else along_rows[tile]
            maximum_along(COLUMNS, self.columns_met, x[tile], row_maxima, winners)
            winners = None if along_columns is None else along_columns[tile]
            maximum_along(ROWS, self.rows_met, row_maxima, y[tile], winners)

        run_tiles(forward_tile, self._tiles(x))
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        along_rows, along_columns = self.saved
        w = self.window
        N, _, _, C = gy.shape
        gx = array_module(gy).empty((N, w.H, w.W, C), gy.dtype)

        def backward_tile(index: int, tile: Tile) -> None:
            row_gradients = scratch("row gradients", (tile.stop - tile.start, w.H, w.OW, C), gy)
            give_to_winners(ROWS, self.rows_met, gy[tile], along_columns[tile], row_gradients)
            give_to_winners(COLUMNS, self.columns_met, row_gradients, along_rows[tile], gx[tile])

        run_tiles(backward_tile, self._tiles(gx))
        return (gx,)

    def branches(self) -> Array | None:
        """Return for each window the place of its winner, as row * KW + column."""
        along_rows, along_columns = self.saved
        if along_rows is None:
            return None
        xp = array_module(along_rows)
        w = self.window
        row = along_columns.astype(np.int64)
        row_of_image = row + xp.arange(w.OH).reshape(1, -1, 1, 1) * w.SH - w.top
        column = xp.take_along_axis(along_rows, row_of_image.clip(0, w.H - 1), axis=1)
        return row * w.KW + column

    def _tiles(self, x: Array) -> list[Tile]:
        w = self.window
        return batch_tiles(len(x), 3 * w.H * w.W * x.shape[3] * x.dtype.itemsize, x)


# ---- on one tile of n images ------------------------------------------------------------------------


def maximum_along(axis: int, met: list[Met], x: Array, out: Array, winners: Array | None) -> None:
    """Write the maximum over the places of a one-dimensional window along `axis` of x into `out`.

    And, if `winners` is given, which place holds it: each place that is greater than all before it raises
    the number to its own, and numbers only grow. So of equal ones the first has won.
    """
    xp = array_module(x)
    out[...] = -np.inf
    if winners is not None:
        winners[...] = 0
    for place, (outputs, pixels) in enumerate(met):
        candidates = x[along(axis, pixels)]
        best = out[along(axis, outputs)]
        if place == 0:
            best[...] = candidates
            continue
        if winners is not None:
            greater = scratch("greater", best.shape, x, np.bool_)
            xp.greater(candidates, best, out=greater)
            number = winners[along(axis, outputs)]
            xp.maximum(number, xp.multiply(greater, place, dtype=winners.dtype), out=number)
        xp.maximum(best, candidates, out=best)


def give_to_winners(axis: int, met: list[Met], gy: Array, winners: Array, out: Array) -> None:
    """Write into `out` the sum of gy over the one-dimensional windows along `axis` that each pixel won."""
    xp = array_module(gy)
    out[...] = 0
    for place, (outputs, pixels) in enumerate(met):
        at = along(axis, outputs)
        share = scratch("share", gy[at].shape, gy)
        xp.multiply(gy[at], winners[at] == place, out=share)
        out[along(axis, pixels)] += share


def along(axis: int, part: slice) -> tuple[slice, ...]:
    """Index `part` of one axis and all of those before it."""
    return (*(slice(None),) * axis, part)


def place_dtype(places: int) -> np.dtype:
    """Smallest unsigned integer that can number so many places."""
    return np.min_scalar_type(places - 1)


# ---- the public function ----------------------------------------------------------------------------


def max_pool2d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """Take the largest value of each window, channel by channel.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images, float32 or float64.
    kernel_size : int or pair
        Window, (vertical, horizontal), in pixels.
    stride : int or pair, optional
        Step of the window; left out, the windows do not overlap (the kernel's size).
    padding : int, pair, or ((top, bottom), (left, right)), default=0
        Pixels of -inf around the image, on each side less than the kernel.
    ceil_mode : bool, default=False
        Round the output size up; a window that would see padding only is left out.

    Returns
    -------
    Tensor of shape (N, OH, OW, C)
        OH = (H + top + bottom - KH) / SH + 1, rounded down, or up in ceil mode.

    Raises
    ------
    ShapeError
        If x is no batch of images, or the window does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = Tensor(np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1))
    >>> max_pool2d(x, 2).data[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    return MaxPool2d(pooling_window("max_pool2d", x, kernel_size, stride, padding, ceil_mode)).apply(x)


def pooling_window(
    op: str, x: Tensor, kernel_size: Size, stride: Size | None, padding: Padding, ceil_mode: bool
) -> Window:
    """Check the arguments of a pooling op; return its window."""
    check_tensor(op, "x", x)
    check_image_batch(op, x.shape)
    w = window(op, (x.shape[1], x.shape[2]), kernel_size, stride, padding, ceil_mode)
    for side, pixels, kernel in (
        ("top", w.top, w.KH),
        ("bottom", w.bottom, w.KH),
        ("left", w.left, w.KW),
        ("right", w.right, w.KW),
    ):
        if pixels >= kernel:
            raise ShapeError(
                f"{op}: padding: expected less than the kernel ({kernel}) on each side, "
                f"got {pixels} at the {side}"
            )
    return w
