"""Random crops and mirror images: an object a few pixels further left is still the same object."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Windows(NamedTuple):
    """Which part of every image is seen, and which way round.

    Attributes
    ----------
    top, left : integer array of shape (N,)
        Where the part begins, in pixels of the image with its margin.
    mirrored : bool array of shape (N,)
        Whether left and right change places.
    """

    top: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    mirrored: npt.NDArray[np.bool_]


def draw_windows(count: int, places: tuple[int, int], mirror: bool, rng: np.random.Generator) -> Windows:
    """Draw a window for each of `count` images.

    Parameters
    ----------
    count : int
        N.
    places : (int, int)
        At how many heights, and at how many distances from the left, a window may begin.
    mirror : bool
        Whether each window is mirrored left to right with probability 1/2.
    rng : numpy.random.Generator
        Where the numbers come from.
    """
    top = rng.integers(0, places[0], count)
    left = rng.integers(0, places[1], count)
    mirrored = rng.random(count) < 0.5 if mirror else np.zeros(count, np.bool_)
    return Windows(top, left, mirrored)


def cut_windows(
    padded: npt.NDArray[np.floating], size: tuple[int, int], windows: Windows
) -> npt.NDArray[np.floating]:
    """Cut its window out of every image.

    Parameters
    ----------
    padded : array of shape (N, PH, PW, C)
        Images with a margin around them.
    size : (H, W)
        Of the windows, at most (PH, PW).
    windows : Windows
        Where they are.

    Returns
    -------
    array of shape (N, H, W, C)
        A new array, gathered in one go.
    """
    N, PH, PW, C = padded.shape
    H, W = size
    rows = np.arange(N)[:, None] * PH + windows.top[:, None] + np.arange(H)  # (N, H), into all rows
    columns = np.tile(np.arange(W), (N, 1))  # (N, W)
    columns[windows.mirrored] = np.arange(W)[::-1]
    columns += windows.left[:, None]
    pixels = rows[:, :, None] * PW + columns[:, None, :]  # (N, H, W), into all pixels of the batch
    return np.take(padded.reshape(N * PH * PW, C), pixels, axis=0)
