"""Average pooling.

    y[n, p, q, c] = 1 / count[p, q] * sum over i, j of  x_pad[n, p*SH + i, q*SW + j, c]

    x      (N, H, W, C)           x_pad is x with zeros around it
    y      (N, OH, OW, C)
    count  (OH, OW)               how many places of the window are counted:
                                  those in the padded image (count_include_pad) or in the image alone

Every pixel of a window has the same share in its mean, so every one receives the same gradient, and a
pixel in several overlapping windows receives the sum:

    gx[n, h, w, c] = sum of gy[n, p, q, c] / count[p, q] over the windows (p, q) that contain (h, w)

As in max pooling, a window is summed along its rows first, and then over its rows.

Derivation: docs/ops/avg_pool2d.md.
"""

from __future__ import annotations

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.cuda.graph import upload
from minicnn.cuda.launch import launch_over_pixels
from minicnn.cuda.switch import uses_kernels
from minicnn.ops.im2col import pad
from minicnn.ops.max_pool import PACKS_ACROSS, pooling_window
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch
from minicnn.shapes import Padding, Size, Window
from minicnn.tensor import Function, Tensor


class AvgPool2d(Function):
    """Mean of each window, channel by channel."""

    name = "avg_pool2d"

    def __init__(self, window: Window, count_include_pad: bool) -> None:
        self.window = window
        self.count_include_pad = count_include_pad

    def forward(self, x: Array) -> Array:
        """Return y; saves nothing, the gradient does not depend on x."""
        (N, _, _, C), w = x.shape, self.window
        y = empty((N, w.OH, w.OW, C), x)
        count = self._count(x)
        if uses_kernels(x):
            self._launch("avg_pool_forward", N * w.OH * w.OW, x, count, y)
            return y

        def forward_tile(index: int, tile: Tile) -> None:
            padded = pad(x[tile], w)  # (n, PH, PW, C)
            row_sums = scratch("row sums", (len(padded), w.PH, w.OW, C), x)
            row_sums[...] = padded[:, :, w.taps(0, 0)[1]]
            for j in range(1, w.KW):
                row_sums += padded[:, :, w.taps(0, j)[1]]
            y_tile = y[tile]
            y_tile[...] = row_sums[:, w.taps(0, 0)[0]]
            for i in range(1, w.KH):
                y_tile += row_sums[:, w.taps(i, 0)[0]]
            y_tile /= count

        run_tiles(forward_tile, self._tiles(x))
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        w = self.window
        N, _, _, C = gy.shape
        gx = empty((N, w.H, w.W, C), gy)
        count = self._count(gy)
        if uses_kernels(gy):
            self._launch("avg_pool_backward", N * w.H * w.W, gy, count, gx)
            return (gx,)

        def backward_tile(index: int, tile: Tile) -> None:
            share = gy[tile] / count  # (n, OH, OW, C): the same for every pixel of a window
            row_gradients = scratch("row gradients", (len(share), w.PH, w.OW, C), gy)
            row_gradients[...] = 0
            for i in range(w.KH):
                row_gradients[:, w.taps(i, 0)[0]] += share
            padded = scratch("padded", (len(share), w.PH, w.PW, C), gy)
            padded[...] = 0
            for j in range(w.KW):
                padded[:, :, w.taps(0, j)[1]] += row_gradients
            rows, columns = w.image
            gx[tile] = padded[:, rows, columns]

        run_tiles(backward_tile, self._tiles(gx))
        return (gx,)

    def _launch(self, kernel: str, pixels: int, source: Array, count: Array, target: Array) -> None:
        w, C = self.window, source.shape[3]
        launch_over_pixels(
            "avg_pool.cu", kernel, pixels, C, (array_module(source).ascontiguousarray(source), count, target),
            w.H, w.W, C, w.KH, w.KW, w.SH, w.SW, w.top, w.left, w.OH, w.OW,
            most_across=PACKS_ACROSS,
        )  # fmt: skip

    def _count(self, like: Array) -> Array:
        """How many places of each window are counted: (OH, OW, 1)."""
        w = self.window
        rows, columns = w.image
        counted = np.zeros((w.PH, w.PW), like.dtype)
        if self.count_include_pad:  # the rows and columns that only ceil mode needs do not count
            counted[: w.PH - w.extra_bottom, : w.PW - w.extra_right] = 1
        else:
            counted[rows, columns] = 1
        count = np.zeros((w.OH, w.OW), like.dtype)
        for i in range(w.KH):
            for j in range(w.KW):
                count += counted[w.taps(i, j)]
        return (count if array_module(like) is np else upload(count))[:, :, None]

    def _tiles(self, x: Array) -> list[Tile]:
        w = self.window
        return batch_tiles(len(x), 2 * w.PH * w.PW * x.shape[3] * x.dtype.itemsize, x)


def avg_pool2d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Take the mean of each window, channel by channel.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images, float32 or float64.
    kernel_size : int or pair
        Window, (vertical, horizontal), in pixels.
    stride : int or pair, optional
        Step of the window; left out, the windows do not overlap (the kernel's size).
    padding : int, pair, or ((top, bottom), (left, right)), default=0
        Zeros around the image, on each side less than the kernel.
    ceil_mode : bool, default=False
        Round the output size up; a window that would see padding only is left out.
    count_include_pad : bool, default=True
        Divide by the number of places in the padded image; False: by the number of real pixels.

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
    >>> avg_pool2d(x, 2).data[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    geometry = pooling_window("avg_pool2d", x, kernel_size, stride, padding, ceil_mode)
    return AvgPool2d(geometry, count_include_pad).apply(x)
