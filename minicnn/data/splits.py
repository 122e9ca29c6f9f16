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
        Share to hold back, above 0 and below 1. In all, it is rounded, but at least one image; what the
        rounding leaves to give goes to the classes whose shares have the largest remainders. A class keeps
        its last image as long as the others have some to spare.
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
        If `fraction` is out of range or leaves none to train on, or there are fewer than two images.

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
    N = len(labels)
    if N < 2:
        raise DataError(
            f"split_validation: expected at least 2 images, one to train on and one to hold back, got {N}"
        )
    count = number_held_back(N, fraction)
    if count == N:
        raise DataError(
            f"split_validation: {fraction} of {N} images would leave none to train on; "
            "a smaller fraction would leave some"
        )
    held = np.zeros(N, bool)
    held[_candidates(labels, fraction, counter_generator(seed, Stream.SPLIT, place=place))[:count]] = True
    labels64 = labels.astype(np.int64, copy=False)
    return images[~held], labels64[~held], images[held], labels64[held]


def number_held_back(N: int, fraction: float) -> int:
    """Return how many of N images `split_validation` holds back.

    Examples
    --------
    >>> number_held_back(100, 0.1), number_held_back(3, 0.1)
    (10, 1)
    """
    return max(1, round(fraction * N))


def _candidates(
    labels: npt.NDArray[np.integer], fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return all places in `labels`, (N,), in the order in which their images are to be held back.

    A class's images come in random order: first as many as its share has whole ones, then the one that a
    remainder stands for. Ordering by how far each exceeds the share of its class therefore rounds the
    shares by largest remainder; the last image of every class waits until all others are held back.
    """
    places, excess, last = [], [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        ranks = np.arange(1, len(members) + 1)
        places.append(members)
        excess.append(ranks - fraction * len(members))
        last.append(ranks == len(members))
    ties = rng.permutation(len(labels))  # else the first of several equal classes would always give
    order = np.lexsort((ties, np.concatenate(excess), np.concatenate(last)))
    return np.concatenate(places)[order]
