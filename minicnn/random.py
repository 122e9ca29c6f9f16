"""Counter-based randomness: every random number is a function of (seed, stream, epoch, step, place).

A generator that is *advanced* from batch to batch makes results depend on everything that happened
before: how many threads ran, what was prefetched, where a run was resumed. A counter-based generator
(Philox, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") has no history: its output
is a keyed hash of a counter. So the crops of batch 17 of epoch 3 are the same numbers whether batch 16
was drawn first, in another thread, or yesterday.

    key     = (seed, stream)                 which experiment, and what the numbers are for
    counter = (0, place, step, epoch)        where in training; the first word counts the draws
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from minicnn.errors import UsageError


class Stream(IntEnum):
    """What random numbers are used for; streams of one seed are independent of each other."""

    INITIALISATION = 0
    SPLIT = 1
    ORDER = 2
    AUGMENTATION = 3
    DROPOUT = 4
    SHAPES = 5


def counter_generator(
    seed: int, stream: Stream, epoch: int = 0, step: int = 0, place: int = 0
) -> np.random.Generator:
    """Make the generator that belongs to one place in training.

    Parameters
    ----------
    seed : int
        The seed of the run, at least 0 and below 2**64.
    stream : Stream
        What the numbers are for.
    epoch, step, place : int
        Where in training; `place` tells apart, say, the dropout layers of one step.

    Returns
    -------
    numpy.random.Generator
        Equal arguments give equal numbers, whatever was drawn before.

    Raises
    ------
    UsageError
        If `seed` is no whole number, or out of range.

    Examples
    --------
    >>> a = counter_generator(0, Stream.DROPOUT, epoch=3, step=17)
    >>> b = counter_generator(0, Stream.DROPOUT, epoch=3, step=17)
    >>> bool((a.random(5) == b.random(5)).all())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise UsageError(f"seed: expected a whole number from 0 to 2**64 - 1, got {seed!r}")
    key = np.array([int(seed), int(stream)], dtype=np.uint64)
    counter = np.array([0, place, step, epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def checked_generator(rng: np.random.Generator | None) -> np.random.Generator:
    """Return `rng`, or a fresh generator for None.

    Raises
    ------
    UsageError
        If it is anything else: a seed taken for a generator would pass unnoticed.
    """
    if rng is None:
        return np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise UsageError(
            f"rng: expected a numpy.random.Generator, such as np.random.default_rng(0), got {rng!r}"
        )
    return rng
