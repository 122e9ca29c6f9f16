"""Winograd's algorithm F(4x4, 3x3): a 3x3 convolution with a quarter of im2col's multiplications.

    y = A^T [ (G w G^T) * (B^T d B) ] A       * element by element; one 4x4 block of y for one channel

    d   (6, 6)    patch of the padded input; neighbouring patches overlap by two pixels
    w   (3, 3)    filter

Both in brackets are 6x6: 36 multiplications for 16 outputs, where the definition takes 144. Over channels,
the multiplications become 36 independent matrix products, one for each place (a, b) of the 6x6:

    V[a, b] = B^T d B         (P, CI)      a row for each patch; P = BH*BW*n patches
    U[a, b] = G w G^T         (CI, CO)     once for the whole batch
    M[a, b] = V[a, b] @ U[a, b]            where the time goes
    y       = A^T M A                      BH x BW blocks of 4x4 pixels

Every step is linear, so the gradients are the same steps transposed, in reverse order:

    gM       = A gy A^T                    serves both gradients
    gU[a, b] = V[a, b]^T @ gM[a, b]        gw = G^T gU G
    gV[a, b] = gM[a, b] @ U[a, b]^T        gd = B gV B^T, added up where patches overlap

A transform in one dimension is the product of a small matrix with a long one. To make the rows of that
long one contiguous, a tile is kept in the order (rows, columns, images, channels).

In exact arithmetic the result is that of im2col. In float32 the error is three to five times as large, two or
three millionths of the largest output.

Derivation: docs/ops/winograd.md.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial

from minicnn.backend import Array
from minicnn.buffers import empty
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch
from minicnn.shapes import Window

# Where polynomials are evaluated, besides at infinity. By hand one would take whole numbers, 0, 1, -1, 2, -2;
# these cost the same here, and the float32 error is less than half of that.
POINTS = (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)

# The six rows of the transformed patches are taken two by two. V and M of all six would take three times the
# cache; one by one would take twice the calls, and with several threads each call may wait for the others.
PAIRS = (slice(0, 2), slice(2, 4), slice(4, 6))


def toom_cook(points: Sequence[float], outputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derive B^T, G and A^T of the one-dimensional algorithm from the points of evaluation.

    Parameters
    ----------
    points : sequence of float
        Distinct; infinity is added as the last one.
    outputs : int
        How many outputs a patch of len(points) + 1 inputs gives; there are len(points) + 2 - outputs taps.

    Returns
    -------
    tuple of array
        B^T (patch, patch), G (patch, taps) and A^T (outputs, patch), in float64, such that
        A^T ((G w) * (B^T d)) is the correlation of d with w.

    Examples
    --------
    >>> BT, G, AT = toom_cook((0, 1, -1), outputs=2)
    >>> d, w = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0, 100.0])
    >>> AT @ ((G @ w) * (BT @ d))
    array([321., 432.])
    """
    patch = len(points) + 1
    taps = patch + 1 - outputs
    BT, G, AT = np.zeros((patch, patch)), np.zeros((patch, taps)), np.zeros((outputs, patch))
    for k, point in enumerate(points):
        others = [*points[:k], *points[k + 1 :]]
        BT[k, :-1] = polynomial.polyfromroots(others)
        G[k] = point ** np.arange(taps) / np.prod([point - other for other in others])
        AT[:, k] = point ** np.arange(outputs)
    BT[-1] = polynomial.polyfromroots(points)
    G[-1, -1] = AT[-1, -1] = 1  # at infinity only the highest coefficient counts
    return BT, G, AT


class _Matrices(NamedTuple):
    A: np.ndarray
    AT: np.ndarray
    B: np.ndarray
    BT: np.ndarray
    GT: np.ndarray
    GG: np.ndarray  # (36, 9), the Kronecker product of G with itself: both dimensions in one step


@functools.cache
def _matrices(dtype: np.dtype) -> _Matrices:
    BT, G, AT = toom_cook(POINTS, outputs=4)
    matrices = (AT.T, AT, BT.T, BT, G.T, np.kron(G, G))
    return _Matrices(*(np.ascontiguousarray(matrix, dtype) for matrix in matrices))


def fits(window: Window, groups: int = 1) -> bool:
    """Tell whether the algorithm covers this convolution: 3x3, stride 1, one group; any size and padding."""
    return (window.KH, window.KW, window.SH, window.SW, groups) == (3, 3, 1, 1, 1)


def bytes_per_image(window: Window, CI: int, CO: int, itemsize: int) -> int:
    """Tell what one image counts when a batch is cut into tiles: its input and output, as whole blocks.

    The temporary arrays are three to four times as large, more than a tile of im2col has; but there are many
    calls for a tile, and with smaller tiles threads lose more by waiting for the interpreter lock.
    """
    BH, BW = count_blocks(window)
    return 16 * BH * BW * (CI + CO) * itemsize


def pays(window: Window, CI: int, images: int, tiles: int) -> bool:
    """Tell whether a batch of `images`, cut into `tiles`, is done sooner this way than by im2col.

    A patch, with its 16 pixels, takes the time of seven pixels by im2col; U, which is four times as large as
    w, takes that of 16 patches to make, and as much to read in each tile. (Forward and backward together,
    measured from 16 to 384 channels.) With very few channels the transforms, whose time grows with CI + CO,
    outweigh the products, whose time grows with CI * CO.
    """
    BH, BW = count_blocks(window)
    patches = images * BH * BW
    return CI >= 8 and images * window.OH * window.OW >= 7 * (patches + 16 * tiles + 16)


def transform_weights(w: Array) -> Array:
    """Compute U = G w G^T: w (3, 3, CI, CO) becomes (6, 6, CI, CO)."""
    _, _, CI, CO = w.shape
    taps = w.reshape(9, CI, CO).transpose(1, 0, 2)
    U = empty((6, 6, CI, CO), w)
    out = U.reshape(36, CI, CO).transpose(1, 0, 2)

    def transform_tile(index: int, tile: Tile) -> None:
        np.matmul(_matrices(w.dtype).GG, np.ascontiguousarray(taps[tile]), out=out[tile])

    run_tiles(transform_tile, batch_tiles(CI, 9 * CO * w.itemsize))
    return U


class WinogradKernel:
    """A bank of 3x3 filters, ready to be convolved with one tile of images after the other.

    The counterpart of `Im2colKernel` in conv.py, with the same attributes and methods.
    """

    def __init__(self, w: Array, window: Window) -> None:
        self.w = w
        self.window = window
        self.U = transform_weights(w)
        self.UT: Array | None = None
        self.gradient_shape = w.shape
        self.bytes_per_image = bytes_per_image(window, w.shape[2], w.shape[3], w.itemsize)

    def convolve(self, x: Array, out: Array, window: Window | None = None) -> None:
        """Write the convolution of x (n, H, W, CI) into out (n, OH, OW, CO), by `window` or its own."""
        convolve_tile(x, self.U, window or self.window, out)

    def prepare_input_gradient(self) -> None:
        """Transform the weights with exchanged channels."""
        self.UT = transform_weights(self.w.swapaxes(2, 3))

    def gradients(self, x: Array, gy: Array, gx: Array | None, gw: Array | None) -> None:
        """Write the gradients, given x (n, H, W, CI) and gy (n, OH, OW, CO), into gx and gw where wanted."""
        differentiate_tile(x, gy, self.UT, self.window, gx, gw)

    def weight_gradient(self, gw: Array) -> Array:
        """Return the sum of all tiles' gw as it is: it has the shape of w."""
        return gw


# ---- on one tile of n images ------------------------------------------------------------------------


def convolve_tile(x: Array, U: Array, window: Window, out: Array) -> None:
    """Write the convolution of x (n, H, W, CI) with U (6, 6, CI, CO) into out (n, OH, OW, CO)."""
    n, OH, OW, CO = out.shape
    BH, BW = count_blocks(window)
    AT = _matrices(x.dtype).AT
    patches = _transform_rows(x, window)
    M = scratch("winograd M", (2, 6, BH, BW, n * CO), x)
    columns = scratch("winograd columns", (6, BH, BW, 4, n * CO), x)
    for pair in PAIRS:
        V = _transform_columns(patches[pair], n)
        np.matmul(V, U[pair], out=M.reshape(2, 6, -1, CO))
        np.matmul(AT, M.transpose(0, 2, 3, 1, 4), out=columns[pair])
    y = scratch("winograd image", (BH, 4, BW * 4 * n * CO), x)
    np.matmul(AT, columns.reshape(6, BH, -1).transpose(1, 0, 2), out=y)
    out[...] = y.reshape(4 * BH, 4 * BW, n, CO)[:OH, :OW].transpose(2, 0, 1, 3)


def differentiate_tile(
    x: Array, gy: Array, UT: Array, window: Window, gx: Array | None, gw: Array | None
) -> None:
    """Write the gradients that are wanted, from gy (n, OH, OW, CO).

    gx (n, H, W, CI) is made with UT (6, 6, CO, CI), the transform of the weights with exchanged channels;
    gw (3, 3, CI, CO) with x (n, H, W, CI), and it is what these n images contribute.
    """
    n, _, _, CI = x.shape
    CO = gy.shape[3]
    BH, BW = count_blocks(window)
    matrices = _matrices(x.dtype)
    A, B, GT = matrices.A, matrices.B, matrices.GT
    rows = _transform_gradient_rows(gy, window)
    gM = scratch("winograd M", (2, 6, BH, BW, n * CO), x)
    gM_rows = gM.reshape(2, 6, -1, CO)
    if gw is not None:
        patches = _transform_rows(x, window)
        gU = scratch("winograd gU", (2, 6, CI, CO), x)
        gw_columns = scratch("winograd columns of gw", (6, 3, CI, CO), x)
    if gx is not None:
        gV = scratch("winograd V", (2, 6, BH, BW, n * CI), x)
        gx_columns = scratch("winograd columns of gx", (6, BH, BW + 1, 4, n * CI), x)
    for pair in PAIRS:
        np.matmul(A, rows[pair], out=gM.transpose(0, 2, 3, 1, 4))
        if gw is not None:
            V = _transform_columns(patches[pair], n)
            np.matmul(V.transpose(0, 1, 3, 2), gM_rows, out=gU)
            np.matmul(GT, gU.transpose(0, 2, 1, 3), out=gw_columns[pair].transpose(0, 2, 1, 3))
        if gx is not None:  # gV takes the place of V, which is done with
            np.matmul(gM_rows, UT[pair], out=gV.reshape(2, 6, -1, CI))
            _add_overlapping(B, gV.transpose(0, 2, 3, 1, 4), out=gx_columns[pair])
    if gw is not None:
        np.matmul(GT, gw_columns.transpose(1, 2, 0, 3), out=gw.transpose(1, 2, 0, 3))
    if gx is not None:
        gpadded = scratch("winograd image", (BH + 1, 4, (BW + 1) * 4 * n * CI), x)
        _add_overlapping(B, gx_columns.reshape(6, BH, -1).transpose(1, 0, 2), out=gpadded)
        image = window.image
        gx[...] = gpadded.reshape(4 * BH + 4, 4 * BW + 4, n, CI)[image].transpose(2, 0, 1, 3)


def count_blocks(window: Window) -> tuple[int, int]:
    """Count the blocks of 4x4 pixels that cover the output."""
    return -(-window.OH // 4), -(-window.OW // 4)


def _transform_rows(x: Array, window: Window) -> Array:
    """Multiply the patches of x (n, H, W, CI) by B^T from the left: (6, BH, BW, 6, n*CI).

    What is returned is a view: neighbouring patches of a row share two columns.
    """
    n, _, _, CI = x.shape
    BH, BW = count_blocks(window)
    PH, PW, L = 4 * BH + 2, 4 * BW + 2, n * CI
    padded = scratch("winograd image", (PH, PW, n, CI), x)
    padded[...] = 0
    padded[window.image] = x.transpose(1, 2, 0, 3)
    pixel, item = L * x.itemsize, x.itemsize
    row = PW * pixel
    patches = np.ndarray((BH, 6, PW * L), x.dtype, padded, strides=(4 * row, row, item))
    rows = scratch("winograd rows of x", (BH, 6, PW * L), x)
    np.matmul(_matrices(x.dtype).BT, patches, out=rows)
    return np.ndarray((6, BH, BW, 6, L), x.dtype, rows, strides=(row, 6 * row, 4 * pixel, pixel, item))


def _transform_columns(patches: Array, n: int) -> Array:
    """Multiply rows of patches (2, BH, BW, 6, n*CI) by B from the right: rows of V, (2, 6, P, CI)."""
    _, BH, BW, _, L = patches.shape
    V = scratch("winograd V", (2, 6, BH, BW, L), patches)
    np.matmul(_matrices(patches.dtype).BT, patches, out=V.transpose(0, 2, 3, 1, 4))
    return V.reshape(2, 6, BH * BW * n, L // n)


def _transform_gradient_rows(gy: Array, window: Window) -> Array:
    """Multiply the blocks of gy (n, OH, OW, CO) by A from the left: (6, BH, BW, 4, n*CO)."""
    n, OH, OW, CO = gy.shape
    BH, BW = count_blocks(window)
    blocks = scratch("winograd image", (4 * BH, 4 * BW, n, CO), gy)
    blocks[OH:] = 0
    blocks[:OH, OW:] = 0
    blocks[:OH, :OW] = gy.transpose(1, 2, 0, 3)
    rows = scratch("winograd columns", (6, BH, BW, 4, n * CO), gy)
    A = _matrices(gy.dtype).A
    np.matmul(A, blocks.reshape(BH, 4, -1), out=rows.reshape(6, BH, -1).transpose(1, 0, 2))
    return rows


def _add_overlapping(B: Array, gV: Array, out: Array) -> None:
    """Multiply gV (..., blocks, 6, L) by B and add up what overlaps: (..., blocks + 1, 4, L).

    A patch begins in its own block of four and ends with two in the next.
    """
    ends = scratch("winograd ends", (*gV.shape[:-2], 2, gV.shape[-1]), gV)
    np.matmul(B[:4], gV, out=out[..., :-1, :, :])
    np.matmul(B[4:], gV, out=ends)
    out[..., -1, :, :] = 0
    out[..., 1:, :2, :] += ends
