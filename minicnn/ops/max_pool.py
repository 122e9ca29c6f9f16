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

Derivation: docs/ops/max_pool2d.md.
"""

from __future__ import annotations

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.errors import ShapeError
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch
from minicnn.shapes import Padding, Size, Window, check_image_batch, window
from minicnn.tensor import Function, Tensor


class MaxPool2d(Function):
    """Largest value of each window, channel by channel."""

    name = "max_pool2d"

    def __init__(self, window: Window) -> None:
        self.window = window

    def forward(self, x: Array) -> Array:
        """Return y; saves for both passes which place won (nothing if no backward pass will come)."""
        xp = array_module(x)
        (N, _, _, C), w = x.shape, self.window
        y = xp.empty((N, w.OH, w.OW, C), x.dtype)
        along_rows = along_columns = None
        if self.is_recorded:
            along_rows = xp.empty((N, w.PH, w.OW, C), place_dtype(w.KW))
            along_columns = xp.empty((N, w.OH, w.OW, C), place_dtype(w.KH))
        self.save(along_rows, along_columns)

        def forward_tile(index: int, tile: Tile) -> None:
            padded = pad_with_minus_infinity(x[tile], w)  # (n, PH, PW, C)
            row_maxima = scratch("row maxima", (len(padded), w.PH, w.OW, C), x)
            views = [padded[:, :, w.taps(0, j)[1]] for j in range(w.KW)]
            maximum_of(views, row_maxima, None if along_rows is None else along_rows[tile])
            views = [row_maxima[:, w.taps(i, 0)[0]] for i in range(w.KH)]
            maximum_of(views, y[tile], None if along_columns is None else along_columns[tile])

        run_tiles(forward_tile, self._tiles(x))
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        along_rows, along_columns = self.saved
        w = self.window
        N, _, _, C = gy.shape
        gx = array_module(gy).empty((N, w.H, w.W, C), gy.dtype)

        def backward_tile(index: int, tile: Tile) -> None:
            n = tile.stop - tile.start
            row_gradients = scratch("row gradients", (n, w.PH, w.OW, C), gy)
            views = [row_gradients[:, w.taps(i, 0)[0]] for i in range(w.KH)]
            give_to_winners(gy[tile], along_columns[tile], views, row_gradients)
            padded = scratch("padded", (n, w.PH, w.PW, C), gy)
            views = [padded[:, :, w.taps(0, j)[1]] for j in range(w.KW)]
            give_to_winners(row_gradients, along_rows[tile], views, padded)
            rows, columns = w.image
            gx[tile] = padded[:, rows, columns]

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
        place_in_column = row + xp.arange(w.OH).reshape(1, -1, 1, 1) * w.SH
        return row * w.KW + xp.take_along_axis(along_rows, place_in_column, axis=1)

    def _tiles(self, x: Array) -> list[Tile]:
        w = self.window
        return batch_tiles(len(x), 2 * w.PH * w.PW * x.shape[3] * x.dtype.itemsize, x)


# ---- on one tile of n images ------------------------------------------------------------------------


def maximum_of(views: list[Array], out: Array, places: Array | None) -> None:
    """Write the elementwise maximum of equally shaped `views` into `out`.

    And, if `places` is given, the index of the first view that holds it: each view that is greater than
    all before it raises the index to its own, and indices only grow.
    """
    xp = array_module(out)
    out[...] = views[0]
    if places is None:
        for view in views[1:]:
            xp.maximum(out, view, out=out)
        return
    places[...] = 0
    greater = scratch("greater", out.shape, out, np.bool_)
    for k, view in enumerate(views[1:], start=1):
        xp.greater(view, out, out=greater)
        xp.maximum(places, xp.multiply(greater, k, dtype=places.dtype), out=places)
        xp.maximum(out, view, out=out)


def give_to_winners(g: Array, places: Array, views: list[Array], whole: Array) -> None:
    """Add g to views[places], elementwise; the views are overlapping slices of `whole`, zeroed first."""
    xp = array_module(g)
    whole[...] = 0
    share = scratch("share", g.shape, g)
    for k, view in enumerate(views):
        xp.multiply(g, places == k, out=share)
        view += share


def place_dtype(places: int) -> np.dtype:
    """Smallest unsigned integer that can number so many places."""
    return np.min_scalar_type(places - 1)


def pad_with_minus_infinity(x: Array, window: Window) -> Array:
    """Surround x (n, H, W, C) with -inf: (n, PH, PW, C)."""
    if not window.is_padded:
        return x
    n, _, _, C = x.shape
    padded = scratch("padded", (n, window.PH, window.PW, C), x)
    padded[...] = -np.inf
    rows, columns = window.image
    padded[:, rows, columns] = x
    return padded


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
