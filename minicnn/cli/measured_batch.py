"""The batch on which gradients are measured, and the dropout masks that go with it."""

from __future__ import annotations

import numpy as np

from minicnn import data
from minicnn.errors import UsageError
from minicnn.nn import Dropout, Module
from minicnn.random import Stream, counter_generator
from minicnn.training import Images


def choose_batch(
    images: Images, batch_size: int, size: int, seed: int, index: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take images, unchanged: test images from one on, or the first batch of a training with this seed.

    Parameters
    ----------
    images : Images
    batch_size : int
        How many; fewer if there are no more.
    size : int
        Height and width that the network wants.
    seed : int
        Decides which, without an index.
    index : int, default=None
        The first test image.

    Returns
    -------
    x : float32 array of shape (B, size, size, 3)
    labels : int64 array of shape (B,)
    """
    pixels, labels = images.train if index is None else images.test
    if index is None:
        chosen = counter_generator(seed, Stream.ORDER, 0).permutation(len(pixels))[:batch_size]
    elif 0 <= index < len(pixels):
        chosen = np.arange(index, min(index + batch_size, len(pixels)))
    else:
        raise UsageError(f"--index: expected a number from 0 to {len(pixels) - 1}, got {index}")
    x = images.facts.normalisation.apply(pixels[chosen])
    if x.shape[1:3] != (size, size):
        x = data.resize_bilinear(x, size)
    return x, labels[chosen]


def seed_dropouts(network: Module, seed: int) -> None:
    """Let the dropouts draw what they draw in the first step of a training with this seed."""
    dropouts = [module for _, module in network.named_modules() if isinstance(module, Dropout)]
    for place, dropout in enumerate(dropouts):
        dropout.rng = counter_generator(seed, Stream.DROPOUT, 0, 0, place)
