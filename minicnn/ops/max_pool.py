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

The padding is never made: a place that falls on it is left out of the comparison. On a GPU a thread looks at
a whole window at once, and remembers one place.

Derivation: docs/ops/max_pool2d.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.cuda.launch import launch_over_pixels
from minicnn.cuda.switch import uses_kernels
from minicnn.errors import ShapeError
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch
from minicnn.shapes import Padding, Size, Window, check_image_batch, window
from minicnn.tensor import Function, Tensor, check_tensor

PACKS_ACROSS = 8  # of a block on a GPU: 128 bytes

ROWS, COLUMNS = 1, 2  # axes of (N, H, W, C)

# For one place of a one-dimensional window: which outputs meet a pixel with it, and which pixels they meet.
Met = tuple[slice, slice]


class MaxPool2d(Function):
    """Largest value of each window, channel by channel."""

    name = "max_pool2d"

    def __init__(self, window: Window) -> None:
        self.window = window
        self.kernel = MaxPoolKernel(window)

    def forward(self, x: Array) -> Array:
        """Return y; saves for both passes which place won (nothing if no backward pass will come)."""
        (N, _, _, C), w = x.shape, self.window
        y = empty((N, w.OH, w.OW, C), x)
        winners = self.kernel.empty_winners(x) if self.is_recorded else None
        self.save(*(winners or (None,)))

        def forward_tile(index: int, tile: Tile) -> None:
            self.kernel.maximum(x[tile], y[tile], None if winners is None else winners.of(tile))

        run_tiles(forward_tile, self.kernel.tiles(x))
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        winners = winners_of(self.saved)
        (N, _, _, C), w = gy.shape, self.window
        gx = empty((N, w.H, w.W, C), gy)

        def backward_tile(index: int, tile: Tile) -> None:
            self.kernel.give_to_winners(gy[tile], winners.of(tile), gx[tile])

        run_tiles(backward_tile, self.kernel.tiles(gx))
        return (gx,)

    def branches(self) -> Array | None:
        """Return for each window the place of its winner, as row * KW + column."""
        return None if self.saved[0] is None else self.kernel.places(winners_of(self.saved))


# ---- on one tile of n images ------------------------------------------------------------------------


class WinnersOfPasses(NamedTuple):
    """Which place of its window won, in each of the two passes."""

    along_rows: Array  # (N, H, OW, C)
    along_columns: Array  # (N, OH, OW, C)

    def of(self, tile: Tile) -> WinnersOfPasses:
        """Winners of some images."""
        return WinnersOfPasses(self.along_rows[tile], self.along_columns[tile])


class WinnersOfWindows(NamedTuple):
    """Which place of its window won, as row * KW + column: what the kernel of the GPU remembers."""

    places: Array  # (N, OH, OW, C)

    def of(self, tile: Tile) -> WinnersOfWindows:
        """Winners of some images."""
        return WinnersOfWindows(self.places[tile])


Winners: TypeAlias = WinnersOfPasses | WinnersOfWindows


def winners_of(saved: Sequence[Array]) -> Winners:
    """Make winners of the arrays they were saved as."""
    return WinnersOfWindows(*saved) if len(saved) == 1 else WinnersOfPasses(*saved)


class MaxPoolKernel:
    """Max pooling with one geometry, of one tile of images after the other."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.rows_met = [window.rows_met(i) for i in range(window.KH)]
        self.columns_met = [window.columns_met(j) for j in range(window.KW)]

    def tiles(self, x: Array) -> list[Tile]:
        """Cut the images of x (N, H, W, C) into tiles; a kernel on a GPU needs no memory on its way."""
        bytes_per_image = 3 * self.window.H * self.window.W * x.shape[3] * x.dtype.itemsize
        return batch_tiles(len(x), 0 if self._has_kernel(x) else bytes_per_image, x)

    def empty_winners(self, x: Array) -> Winners:
        """Room for the winners of x (N, H, W, C)."""
        (N, H, _, C), w = x.shape, self.window
        if self._has_kernel(x):
            return WinnersOfWindows(empty((N, w.OH, w.OW, C), x, place_dtype(w.KH * w.KW)))
        return WinnersOfPasses(
            empty((N, H, w.OW, C), x, place_dtype(w.KW)), empty((N, w.OH, w.OW, C), x, place_dtype(w.KH))
        )

    def maximum(self, x: Array, out: Array, winners: Winners | None) -> None:
        """Write the maxima of x (n, H, W, C) into out (n, OH, OW, C), and if wanted their places."""
        n, H, _, C = x.shape
        if self._has_kernel(x):
            self._maximum_on_gpu(x, out, winners)
            return
        along_rows = along_columns = None
        if isinstance(winners, WinnersOfPasses):
            along_rows, along_columns = winners
        row_maxima = scratch("row maxima", (n, H, self.window.OW, C), x)
        maximum_along(COLUMNS, self.columns_met, x, row_maxima, along_rows)
        maximum_along(ROWS, self.rows_met, row_maxima, out, along_columns)

    def give_to_winners(self, gy: Array, winners: Winners, gx: Array) -> None:
        """Write gy (n, OH, OW, C) into gx (n, H, W, C) at the pixels that won, and zero elsewhere."""
        if isinstance(winners, WinnersOfWindows):
            self._gradient_on_gpu(gy, winners, gx, add=False)
        else:
            gx[...] = 0
            self.add_to_winners(gy, winners, gx)

    def add_to_winners(self, gy: Array, winners: Winners, gx: Array) -> None:
        """Add gy (n, OH, OW, C) to gx (n, H, W, C) at the pixels that won."""
        if isinstance(winners, WinnersOfWindows):
            self._gradient_on_gpu(gy, winners, gx, add=True)
            return
        n, H, _, C = gx.shape
        row_gradients = scratch("row gradients", (n, H, self.window.OW, C), gy)
        row_gradients[...] = 0
        add_along(ROWS, self.rows_met, gy, winners.along_columns, row_gradients)
        add_along(COLUMNS, self.columns_met, row_gradients, winners.along_rows, gx)

    def places(self, winners: Winners) -> Array:
        """Return for each window the place of its winner, as row * KW + column."""
        if isinstance(winners, WinnersOfWindows):
            return winners.places.astype(np.int64)
        xp, w = array_module(winners.along_rows), self.window
        row = winners.along_columns.astype(np.int64)
        row_of_image = row + xp.arange(w.OH).reshape(1, -1, 1, 1) * w.SH - w.top
        column = xp.take_along_axis(winners.along_rows, row_of_image.clip(0, w.H - 1), axis=1)
        return row * w.KW + column

    # ---- on a GPU ----

    def _has_kernel(self, x: Array) -> bool:
        """Tell whether a kernel does it: one that numbers places by two bytes at most."""
        return uses_kernels(x) and self.window.KH * self.window.KW <= 1 << 16

    def _maximum_on_gpu(self, x: Array, out: Array, winners: Winners | None) -> None:
        xp, w = array_module(x), self.window
        n, H, W, C = x.shape
        places = winners[0] if winners else None
        launch_over_pixels(
            "max_pool.cu", "max_pool_forward", n * w.OH * w.OW, C, (xp.ascontiguousarray(x), out, places),
            H, W, C, w.KH, w.KW, w.SH, w.SW, w.top, w.left, w.OH, w.OW,
            places=place_dtype(w.KH * w.KW), most_across=PACKS_ACROSS,
        )  # fmt: skip

    def _gradient_on_gpu(self, gy: Array, winners: Winners, gx: Array, add: bool) -> None:
        xp, w = array_module(gy), self.window
        n, H, W, C = gx.shape
        launch_over_pixels(
            "max_pool.cu", "max_pool_backward", n * H * W, C, (xp.ascontiguousarray(gy), winners[0], gx),
            H, W, C, w.KH, w.KW, w.SH, w.SW, w.top, w.left, w.OH, w.OW, int(add),
            places=place_dtype(w.KH * w.KW), most_across=PACKS_ACROSS,
        )  # fmt: skip


def maximum_along(axis: int, met: list[Met], x: Array, out: Array, winners: Array | None) -> None:
    """Write the maximum over the places of a one-dimensional window along `axis` of x into `out`.

    And, if `winners` is given, which place holds it: each place that is greater than all before it raises
    the number to its own, and numbers only grow. So of equal ones the first has won.
    """
    xp = array_module(x)
    (outputs, pixels), *others = met
    out[along(axis, outputs)] = x[along(axis, pixels)]
    for beyond in (slice(0, outputs.start), slice(outputs.stop, None)):
        out[along(axis, beyond)] = -np.inf  # place 0 falls on the padding, which never wins
    if winners is not None:
        winners[...] = 0
    for place, (outputs, pixels) in enumerate(others, start=1):
        candidates, best = x[along(axis, pixels)], out[along(axis, outputs)]
        if winners is not None:
            number = winners[along(axis, outputs)]
            greater = scratch("greater", best.shape, x, np.bool_)
            xp.greater(candidates, best, out=greater)
            raised = scratch("raised", best.shape, x, winners.dtype)
            xp.multiply(greater, place, out=raised, dtype=winners.dtype)
            xp.maximum(number, raised, out=number)
        xp.maximum(best, candidates, out=best)


def add_along(axis: int, met: list[Met], gy: Array, winners: Array, gx: Array) -> None:
    """Add gy to gx at the pixels that won the one-dimensional windows along `axis`."""
    xp = array_module(gy)
    for place, (outputs, pixels) in enumerate(met):
        at = along(axis, outputs)
        won = scratch("won", gy[at].shape, gy, np.bool_)
        share = scratch("share", gy[at].shape, gy)
        xp.equal(winners[at], place, out=won)
        xp.multiply(gy[at], won, out=share)
        gx[along(axis, pixels)] += share


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
