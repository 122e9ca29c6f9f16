"""Random crops and mirror images: an object a few pixels further left is still the same object."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def crop_and_mirror(
    padded: npt.NDArray[np.floating],
    size: tuple[int, int],
    mirror: bool,
    rng: np.random.Generator,
) -> npt.NDArray[np.floating]:
    """Cut a window out of every image, at a place of its own, and mirror every other one.

    Parameters
    ----------
    padded : array of shape (N, PH, PW, C)
        Images with a margin around them.
    size : (H, W)
        Of the windows, at most (PH, PW).
    mirror : bool
        Whether each window is mirrored left to right with probability 1/2.
    rng : numpy.random.Generator
        Where the places come from.

    Returns
    -------
    array of shape (N, H, W, C)
        A new array, gathered in one go.
    """
    N, PH, PW, C = padded.shape
    H, W = size
    top = rng.integers(0, PH - H + 1, N)
    left = rng.integers(0, PW - W + 1, N)
    rows = np.arange(N)[:, None] * PH + top[:, None] + np.arange(H)  # (N, H), into all rows of the batch
    columns = np.tile(np.arange(W), (N, 1))  # (N, W)
    if mirror:
        columns[rng.random(N) < 0.5] = np.arange(W)[::-1]
    columns += left[:, None]
    pixels = rows[:, :, None] * PW + columns[:, None, :]  # (N, H, W), into all pixels of the batch
    return np.take(padded.reshape(N * PH * PW, C), pixels, axis=0)
