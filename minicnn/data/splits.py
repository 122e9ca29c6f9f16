"""Hold some images back, the same share of every class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minicnn.data.loader import check_images_and_labels
from minicnn.errors import DataError
from minicnn.random import Stream, counter_generator

Split = tuple[
    npt.NDArray[np.uint8], npt.NDArray[np.int64],
    npt.NDArray[np.uint8], npt.NDArray[np.int64],
]  # fmt: skip


def split_validation(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.integer],
    fraction: float,
    seed: int,
    place: int = 0,
) -> Split:
    """Divide images into those to train on and those held back, the same share of every class.

    Parameters
    ----------
    images : uint8 array of shape (N, H, W, C)
        Images that may be trained on.
    labels : integer array of shape (N,)
        Their classes.
    fraction : float
        Share to hold back, above 0 and below 1; rounded in every class, which keeps at least one image.
    seed : int
        Decides which ones, together with `place`.
    place : int, default=0
        Tells apart divisions made with one seed.

    Returns
    -------
    train_images, train_labels, held_images, held_labels : arrays
        Copies, each in the order of the original.

    Raises
    ------
    DataError
        If `fraction` is out of range, or so small that no image would be held back.

    Examples
    --------
    >>> images = np.zeros((100, 8, 8, 3), np.uint8)
    >>> labels = np.arange(100) % 5
    >>> _, train_labels, _, held_labels = split_validation(images, labels, 0.1, seed=0)
    >>> np.bincount(train_labels).tolist(), np.bincount(held_labels).tolist()
    ([18, 18, 18, 18, 18], [2, 2, 2, 2, 2])
    """
    check_images_and_labels("split_validation", images, labels)
    if not 0 < fraction < 1:
        raise DataError(f"split_validation: fraction: expected a number between 0 and 1, got {fraction}")
    rng = counter_generator(seed, Stream.SPLIT, place=place)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(round(fraction * len(members)), len(members) - 1)
        held[rng.permutation(members)[:count]] = True
    if not held.any():
        raise DataError(
            f"split_validation: fraction: {fraction} of {len(labels)} images in "
            f"{len(np.unique(labels))} classes holds none back; a larger fraction or more images would"
        )
    labels64 = labels.astype(np.int64, copy=False)
    return images[~held], labels64[~held], images[held], labels64[held]
