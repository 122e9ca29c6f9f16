"""im2col and its transpose: the patches of images as the rows of a matrix, and back.

    cols[g, (n, p, q), (i, j, c)] = x_pad[n, p*SH + i, q*SW + j, g*CI/G + c]

What conv.py multiplies with the filters. G groups of channels, n images in a tile, K = KH*KW*CI/G.

Derivation: docs/ops/conv2d.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.cuda.launch import evenly_spaced, launch_over_pixels
from minicnn.cuda.switch import uses_kernels
from minicnn.parallel import scratch
from minicnn.shapes import Window

ROWS_OF_A_THREAD = 4  # ROWS in im2col.cu


def im2col(x: Array, window: Window, groups: int = 1) -> Array:
    """Lay out the patches of x (n, H, W, CI) as rows: (G, n*OH*OW, KH*KW*CI/G).

    One copy out of a strided view: element (g, n, p, q, i, j, c) of the view is
    x_pad[n, p*SH + i, q*SW + j, g*CI/G + c], so consecutive windows overlap in memory.
    """
    n, _, _, CI = x.shape
    if window.is_pointwise:
        return split_groups(x, groups)
    if uses_kernels(x):
        return _im2col_on_gpu(x, window, groups)
    padded = pad(x, window)
    image, row, pixel, channel = padded.strides
    patches = array_module(x).lib.stride_tricks.as_strided(
        padded,
        (groups, n, window.OH, window.OW, window.KH, window.KW, CI // groups),
        (CI // groups * channel, image, row * window.SH, pixel * window.SW, row, pixel, channel),
    )
    cols = scratch("columns", patches.shape, x)
    cols[...] = patches
    return cols.reshape(groups, n * window.OH * window.OW, -1)


def col2im(gcols: Array, window: Window, out: Array) -> None:
    """Transpose of `im2col`: add every entry of every patch to the pixel it was copied from.

    gcols (G, n*OH*OW, KH*KW*CI/G), out (n, H, W, CI). For one kernel element (i, j) the OH x OW pixels
    are distinct, so a whole slice is added at once; the overlaps are between different (i, j).
    """
    if uses_kernels(out):
        _col2im_on_gpu(gcols, window, out)
        return
    groups = len(gcols)
    n, _, _, CI = out.shape
    patches = gcols.reshape(groups, n, window.OH, window.OW, window.KH, window.KW, CI // groups)
    gpadded = scratch("padded", (n, window.PH, window.PW, CI), out)
    gpadded[...] = 0
    by_group = gpadded.reshape(n, window.PH, window.PW, groups, CI // groups)
    for i in range(window.KH):
        for j in range(window.KW):
            rows, columns = window.taps(i, j)
            by_group[:, rows, columns] += patches[:, :, :, :, i, j].transpose(1, 2, 3, 0, 4)
    rows, columns = window.image
    out[...] = gpadded[:, rows, columns]


def _im2col_on_gpu(x: Array, window: Window, groups: int) -> Array:
    w = window
    n, H, W, CI = x.shape
    C = CI // groups
    rows = n * w.OH * w.OW
    cols = scratch("columns", (groups, rows, w.KH * w.KW * C), x)
    geometry = (H, W, C, w.KH, w.KW, w.SH, w.SW, w.top, w.left, w.OH, w.OW)
    for g in range(groups):
        part, step = evenly_spaced(x[..., g * C : (g + 1) * C])
        launch_over_pixels(
            "im2col.cu", "im2col", rows, C, (part, cols[g]), *geometry[:3], step, *geometry[3:],
            numbers=cols.shape[2], pixels_of_a_thread=ROWS_OF_A_THREAD,
        )  # fmt: skip
    return cols


def _col2im_on_gpu(gcols: Array, window: Window, out: Array) -> None:
    w = window
    n, H, W, CI = out.shape
    C = CI // len(gcols)
    geometry = (H, W, C, w.KH, w.KW, w.SH, w.SW, w.top, w.left, w.OH, w.OW)
    for g, part in enumerate(gcols):
        target = out[..., g * C : (g + 1) * C]
        rows, step = evenly_spaced(target)
        launch_over_pixels(
            "im2col.cu", "col2im", n * H * W, C, (part, rows), *geometry[:3], step, *geometry[3:]
        )
        if rows is not target:
            target[...] = rows


def pad(x: Array, window: Window) -> Array:
    """Surround x (n, H, W, C) with zeros: (n, PH, PW, C)."""
    if not window.is_padded:
        return x
    n, _, _, C = x.shape
    padded = scratch("padded", (n, window.PH, window.PW, C), x)
    rows, columns = window.image
    padded[:, : rows.start] = 0
    padded[:, rows.stop :] = 0
    padded[:, rows, : columns.start] = 0
    padded[:, rows, columns.stop :] = 0
    padded[:, rows, columns] = x
    return padded


def split_groups(x: Array, groups: int) -> Array:
    """View (n, OH, OW, C) as (G, n*OH*OW, C/G)."""
    n, OH, OW, C = x.shape
    return x.reshape(n * OH * OW, groups, C // groups).transpose(1, 0, 2)


def group_weights(w: Array, groups: int) -> Array:
    """View weights (KH, KW, CI/G, CO) as (G, KH*KW*CI/G, CO/G)."""
    KH, KW, CIG, CO = w.shape
    return w.reshape(KH * KW * CIG, groups, CO // groups).transpose(1, 0, 2)


def turn_weights(weights: Array, shape: tuple[int, ...]) -> Array:
    """Turn the filters by 180 degrees and exchange their channels.

    weights (G, KH*KW*CI/G, CO/G) of filters of `shape` (KH, KW, CI/G, CO) become (G, KH*KW*CO/G, CI/G).
    """
    KH, KW, CIG, CO = shape
    groups = len(weights)
    turned = weights.reshape(groups, KH, KW, CIG, CO // groups)[:, ::-1, ::-1]
    return turned.transpose(0, 1, 2, 4, 3).reshape(groups, KH * KW * (CO // groups), CIG)
