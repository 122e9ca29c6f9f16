"""im2col and its transpose for the patches of one channel, as the browser shows them.

    cols[(p, q), (i, j)]  = x_pad[p*SH + i, q*SW + j]       the patch at (p, q), a row of the matrix
    gcols                 = gy @ w^T                        what each entry of each row receives
    gx_pad[h, w]          = sum of gcols[(p, q), (i, j)]    over the entries copied from (h, w)

of the channel whose input received the strongest gradient. Of a large image only a part is shown.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from minicnn.shapes import Window
from minicnn.tensor import Function

MOST_ENTRIES = 20_000  # of gcols for one channel


def patches_of(
    function: Function, x: np.ndarray, w: np.ndarray, gy: np.ndarray, gx: np.ndarray | None
) -> dict[str, Any] | None:
    """Describe the patches of the first image of a convolution; None where there is nothing to show.

    Parameters
    ----------
    function : Function
        A "conv2d" with one group, and with windows larger than a pixel.
    x, w, gy : array
        Input, filters, gradient of the output.
    gx : array, optional
        Gradient of the input, if the walk made it.

    Returns
    -------
    dict or None
        For JSON: the window, which channel it is, and arrays of it.
    """
    window = getattr(function, "window", None)
    if function.name != "conv2d" or getattr(function, "groups", 1) != 1 or not isinstance(window, Window):
        return None
    if window.is_pointwise:
        return None
    gcols = np.tensordot(gy[0].astype(np.float64), w.astype(np.float64), axes=([2], [3]))  # p, q, i, j, c
    channel = int(np.argmax(np.einsum("pqijc,pqijc->c", gcols, gcols)))
    rows, columns = _places_shown(window, gcols[..., channel])

    padded = _padded(x[0, :, :, channel], window)
    top, left = rows.start * window.SH, columns.start * window.SW
    height = (rows.stop - rows.start - 1) * window.SH + window.KH
    width = (columns.stop - columns.start - 1) * window.SW + window.KW
    part = (slice(top, top + height), slice(left, left + width))
    described = {
        "channel": channel,
        "channels": x.shape[3],
        "places": [rows.stop - rows.start, columns.stop - columns.start],
        "allPlaces": [window.OH, window.OW],
        "firstPlace": [rows.start, columns.start],
        "kernel": [window.KH, window.KW],
        "stride": [window.SH, window.SW],
        "size": [height, width],
        "origin": [top - window.top, left - window.left],  # of the upper left corner, in pixels of the image
        "image": [window.H, window.W],
        "x": _encoded(padded[part], x.dtype),
        "gcols": _encoded(gcols[rows, columns, :, :, channel], gy.dtype),
    }
    if gx is not None:
        described["gx"] = _encoded(_padded(gx[0, :, :, channel], window)[part], gx.dtype)
    return described


def _places_shown(window: Window, gcols: np.ndarray) -> tuple[slice, slice]:
    """Return all places, or a square of them around the strongest one."""
    side = int((MOST_ENTRIES / (window.KH * window.KW)) ** 0.5)
    if side * side >= window.OH * window.OW:
        return slice(0, window.OH), slice(0, window.OW)
    strength = np.einsum("pqij,pqij->pq", gcols, gcols)
    p, q = np.unravel_index(int(np.argmax(strength)), strength.shape)
    first_p = int(np.clip(p - side // 2, 0, max(0, window.OH - side)))
    first_q = int(np.clip(q - side // 2, 0, max(0, window.OW - side)))
    return slice(first_p, min(first_p + side, window.OH)), slice(first_q, min(first_q + side, window.OW))


def _padded(image: np.ndarray, window: Window) -> np.ndarray:
    padded = np.zeros((window.PH, window.PW), image.dtype)
    padded[window.image] = image
    return padded


def _encoded(array: np.ndarray, dtype: np.dtype) -> dict[str, str]:
    """Return the bytes of an array, lowest first, for a typed array of the browser."""
    kind = "float64" if dtype == np.float64 else "float32"
    values = np.ascontiguousarray(array, dtype=np.dtype(kind).newbyteorder("<"))
    return {"kind": kind, "base64": base64.b64encode(values.tobytes()).decode()}
