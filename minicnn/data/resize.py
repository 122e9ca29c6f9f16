"""Resize a batch of images by bilinear interpolation, with the same weights as Pillow's BILINEAR.

A resized row is a weighted sum of a few old pixels. Output pixel i of `new` pixels has its centre at

    c = (i + 1/2) * old / new          in units of old pixels, whose own centres lie at k + 1/2

and takes old pixel k with weight max(0, 1 - |k + 1/2 - c| / s), scaled so that the weights sum to 1.
The triangle's half width s is 1 when enlarging (two neighbours count) and old / new when shrinking, so
that no old pixel is skipped. Rows and columns are independent: one pass along each.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from minicnn.errors import DataError
from minicnn.shapes import Size, pair


def interpolation_weights(old: int, new: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Say which old pixels make up each new pixel of a row, and with which weights.

    Parameters
    ----------
    old, new : int
        Numbers of pixels, at least 1.

    Returns
    -------
    indices, weights : arrays of shape (new, taps)
        Each row of weights sums to 1.

    Examples
    --------
    >>> indices, weights = interpolation_weights(2, 4)
    >>> indices.tolist()
    [[0, 0], [0, 1], [0, 1], [1, 1]]
    >>> weights.tolist()
    [[0.0, 1.0], [0.75, 0.25], [0.25, 0.75], [1.0, 0.0]]
    """
    half_width = max(1.0, old / new)
    centres = (np.arange(new) + 0.5) * (old / new)
    first = np.floor(centres - half_width + 0.5).astype(np.intp)
    indices = first[:, None] + np.arange(math.ceil(2 * half_width))  # (new, taps)
    weights = np.maximum(0.0, 1.0 - np.abs(indices + 0.5 - centres[:, None]) / half_width)
    weights[(indices < 0) | (indices >= old)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(indices, 0, old - 1), weights


def resize_bilinear(images: npt.NDArray[np.floating], size: Size) -> npt.NDArray[np.floating]:
    """Resize images to another height and width.

    Parameters
    ----------
    images : floating array of shape (N, H, W, C)
        Float, because rounding belongs at the end; the dtype is kept.
    size : int or (height, width)
        Of the result, in pixels.

    Returns
    -------
    array of shape (N, height, width, C)

    Raises
    ------
    DataError
        If `images` is no batch of floating-point images.
    ShapeError
        If `size` is not one or two whole numbers of at least 1.
    """
    height, width = pair("resize_bilinear", "size", size, minimum=1)
    if images.ndim != 4 or images.size == 0 or not np.issubdtype(images.dtype, np.floating):
        raise DataError(
            f"resize_bilinear: expected floating-point images of shape (N, H, W, C), "
            f"got {images.dtype} of shape {images.shape}"
        )
    N, H, W, C = images.shape
    columns = interpolation_weights(W, width)
    rows = interpolation_weights(H, height)
    resized = np.empty((N, height, width, C), images.dtype)
    # A few images at a time stay in the cache between the passes: three times as fast as all at once.
    images_at_a_time = max(1, 2**20 // (4 * height * width * C))
    for start in range(0, N, images_at_a_time):
        some = slice(start, start + images_at_a_time)
        wide = _resize_axis(images[some], *columns, axis=2)  # (n, H, width, C)
        resized[some] = _resize_axis(wide, *rows, axis=1)  # (n, height, width, C)
    return resized


def _resize_axis(
    images: npt.NDArray[np.floating],
    indices: npt.NDArray[np.intp],
    weights: npt.NDArray[np.float64],
    axis: int,
) -> npt.NDArray[np.floating]:
    N, *sizes, C = images.shape
    sizes[axis - 1] = len(indices)
    H, W = sizes
    # Rows of W*C numbers, because NumPy is slow when the innermost dimension has only three elements.
    resized = np.zeros((N, H, W * C), images.dtype)
    for tap in range(indices.shape[1]):
        weight = weights[:, tap].astype(images.dtype)
        term = np.take(images, indices[:, tap], axis=axis).reshape(N, H, W * C)
        term *= np.repeat(weight, C) if axis == 2 else weight[:, None]
        resized += term
    return resized.reshape(N, H, W, C)
