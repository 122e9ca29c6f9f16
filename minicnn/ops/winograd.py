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

In exact arithmetic the result is that of im2col. In float32 the error is four times as large, two or three
millionths of the largest output.

Derivation: docs/ops/winograd.md.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial

from minicnn.backend import Array
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch
from minicnn.shapes import Window

# Where polynomials are evaluated, besides at infinity. By hand one would take whole numbers, 0, 1, -1, 2, -2;
# these cost the same here, and the float32 error is less than half of that.
POINTS = (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)


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
    BT: np.ndarray
    B: np.ndarray
    G: np.ndarray
    GT: np.ndarray
    AT: np.ndarray
    A: np.ndarray


@functools.cache
def _matrices(dtype: np.dtype) -> _Matrices:
    both = (matrix for one in toom_cook(POINTS, outputs=4) for matrix in (one, one.T))
    return _Matrices(*(np.ascontiguousarray(matrix, dtype) for matrix in both))


def fits(window: Window, groups: int = 1) -> bool:
    """Tell whether the algorithm covers this convolution: 3x3, stride 1, one group; any size and padding."""
    return (window.KH, window.KW, window.SH, window.SW, groups) == (3, 3, 1, 1, 1)


def bytes_per_image(window: Window, CI: int, CO: int, dtype: np.dtype) -> int:
    """Tell what one image adds to a tile: its V and M, as if all 36 were there at once."""
    BH, BW = _blocks(window)
    return 36 * BH * BW * (CI + CO) * np.dtype(dtype).itemsize


def pays(window: Window, CI: int, images: int, tiles: int) -> bool:
    """Tell whether a batch of `images`, cut into `tiles`, is done sooner this way than by im2col.

    A patch takes the time of five pixels of im2col, transforms included. U, which is four times as large
    as w, is read once in each tile, in the time of 24 patches, and made once, in that of 36. With few
    channels the transforms, whose time grows with CI + CO, outweigh the products, whose time grows with
    CI * CO. All these numbers are measured.
    """
    BH, BW = _blocks(window)
    patches = images * BH * BW
    return CI >= 8 and images * window.OH * window.OW >= 5 * (patches + 24 * tiles + 36)


def transform_weights(w: Array) -> Array:
    """Compute U = G w G^T: w (3, 3, CI, CO) becomes (6, 6, CI, CO).

    In one step for both dimensions, as it is the reading and writing that takes the time: the 36 numbers
    are the product of the Kronecker product of G with itself and the nine taps.
    """
    _, _, CI, CO = w.shape
    G = _matrices(w.dtype).G
    both = np.kron(G, G)  # (36, 9)
    taps = w.reshape(9, CI, CO).transpose(1, 0, 2)
    U = np.empty((6, 6, CI, CO), w.dtype)
    out = U.reshape(36, CI, CO).transpose(1, 0, 2)

    def transform_tile(index: int, tile: Tile) -> None:
        np.matmul(both, np.ascontiguousarray(taps[tile]), out=out[tile])

    run_tiles(transform_tile, batch_tiles(CI, 36 * CO * w.itemsize))
    return U


# ---- on one tile of n images ------------------------------------------------------------------------


def convolve_tile(x: Array, U: Array, window: Window, out: Array) -> None:
    """Write the convolution of x (n, H, W, CI) with U (6, 6, CI, CO) into out (n, OH, OW, CO)."""
    n, OH, OW, CO = out.shape
    BH, BW = _blocks(window)
    AT = _matrices(x.dtype).AT
    patches = _transform_rows(x, window)
    M = scratch("winograd products", (6, BH, BW, n * CO), x)
    columns = scratch("winograd columns", (6, BH, BW, 4, n * CO), x)
    for a in range(6):
        V = _transform_columns(patches[a], n)
        np.matmul(V, U[a], out=M.reshape(6, -1, CO))
        np.matmul(AT, M.transpose(1, 2, 0, 3), out=columns[a])
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
    n, H, W, CI = x.shape
    CO = gy.shape[3]
    BH, BW = _blocks(window)
    BT, B, G, GT, AT, A = _matrices(x.dtype)
    rows = _transform_output_gradient_rows(gy, BH, BW)
    gM = scratch("winograd products", (6, BH, BW, n * CO), x)
    gM_rows = gM.reshape(6, -1, CO)
    if gw is not None:
        patches = _transform_rows(x, window)
        gU = scratch("winograd gU", (6, CI, CO), x)
        gU_columns = scratch("winograd gU columns", (6, 3, CI, CO), x)
    if gx is not None:
        gV = scratch("winograd gV", (6, BH, BW, n * CI), x)
        gcolumns = scratch("winograd columns of gx", (6, BH, BW + 1, 4, n * CI), x)
    for a in range(6):
        np.matmul(A, rows[a], out=gM.transpose(1, 2, 0, 3))
        if gw is not None:
            V = _transform_columns(patches[a], n)
            np.matmul(V.transpose(0, 2, 1), gM_rows, out=gU)
            np.matmul(GT, gU.transpose(1, 0, 2), out=gU_columns[a].transpose(1, 0, 2))
        if gx is not None:
            np.matmul(gM_rows, UT[a], out=gV.reshape(6, -1, CI))
            _add_overlapping(gV.transpose(1, 2, 0, 3), out=gcolumns[a])
    if gw is not None:
        np.matmul(GT, gU_columns.transpose(1, 2, 0, 3), out=gw.transpose(1, 2, 0, 3))
    if gx is not None:
        gpadded = scratch("winograd image", (BH + 1, 4, (BW + 1) * 4 * n * CI), x)
        _add_overlapping(gcolumns.reshape(6, BH, -1).transpose(1, 0, 2), out=gpadded)
        pixels, columns = window.image
        gx[...] = gpadded.reshape(4 * BH + 4, 4 * BW + 4, n, CI)[pixels, columns].transpose(2, 0, 1, 3)


def _blocks(window: Window) -> tuple[int, int]:
    """Count the blocks of 4x4 pixels that cover the output."""
    return -(-window.OH // 4), -(-window.OW // 4)


def _transform_rows(x: Array, window: Window) -> Array:
    """Multiply B^T to all patches of x (n, H, W, CI) from the left: (6, BH, BW, 6, n*CI).

    The last axes but one are a view in which patches overlap.
    """
    n, _, _, CI = x.shape
    BH, BW = _blocks(window)
    PH, PW, L = 4 * BH + 2, 4 * BW + 2, n * CI
    padded = scratch("winograd image", (PH, PW, n, CI), x)
    rows, columns = window.image
    padded[: rows.start] = 0
    padded[rows.stop :] = 0
    padded[rows, : columns.start] = 0
    padded[rows, columns.stop :] = 0
    padded[rows, columns] = x.transpose(1, 2, 0, 3)

    item = x.itemsize
    patches = np.ndarray((BH, 6, PW * L), x.dtype, padded, 0, (4 * PW * L * item, PW * L * item, item))
    transformed = scratch("winograd rows", (BH, 6, PW * L), x)
    np.matmul(_matrices(x.dtype).BT, patches, out=transformed)
    strides = (PW * L * item, 6 * PW * L * item, 4 * L * item, L * item, item)
    return np.ndarray((6, BH, BW, 6, L), x.dtype, transformed, 0, strides)


def _transform_columns(patches: Array, n: int) -> Array:
    """Multiply B to row a of all patches (BH, BW, 6, n*CI) from the right: (6, BH*BW*n, CI)."""
    BH, BW, _, L = patches.shape
    V = scratch("winograd V", (6, BH, BW, L), patches)
    np.matmul(_matrices(patches.dtype).BT, patches, out=V.transpose(1, 2, 0, 3))
    return V.reshape(6, BH * BW * n, L // n)


def _transform_output_gradient_rows(gy: Array, BH: int, BW: int) -> Array:
    """Multiply A to all blocks of gy (n, OH, OW, CO) from the left: (6, BH, BW, 4, n*CO)."""
    n, OH, OW, CO = gy.shape
    padded = scratch("winograd image", (4 * BH, 4 * BW, n, CO), gy)
    padded[OH:] = 0
    padded[:OH, OW:] = 0
    padded[:OH, :OW] = gy.transpose(1, 2, 0, 3)
    rows = scratch("winograd columns", (6, BH, BW, 4, n * CO), gy)
    out = rows.reshape(6, BH, -1).transpose(1, 0, 2)
    np.matmul(_matrices(gy.dtype).A, padded.reshape(BH, 4, -1), out=out)
    return rows


def _add_overlapping(gV: Array, out: Array) -> None:
    """Multiply B to gV (..., blocks, 6, L), add up overlapping patches: (..., blocks + 1, 4, L).

    A patch begins in its own block of four and ends with two in the next.
    """
    B = _matrices(gV.dtype).B
    ends = scratch("winograd ends", (*gV.shape[:-2], 2, gV.shape[-1]), gV)
    np.matmul(B[:4], gV, out=out[..., :-1, :, :])
    np.matmul(B[4:], gV, out=ends)
    out[..., -1, :, :] = 0
    out[..., 1:, :2, :] += ends
