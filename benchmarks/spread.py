"""Medians with their spread, over the rounds of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """What is said about a list of numbers."""

    minimum: float
    lower: float  # first quartile
    median: float
    upper: float  # third quartile
    maximum: float


def spread(numbers: Sequence[float]) -> Spread:
    """Return the five numbers.

    Examples
    --------
    >>> spread([4.0, 1.0, 2.0, 3.0, 9.0])
    Spread(minimum=1.0, lower=2.0, median=3.0, upper=4.0, maximum=9.0)
    """
    return Spread(*(float(q) for q in np.quantile(numbers, (0, 0.25, 0.5, 0.75, 1))))


def ratios(numerators: Sequence[float | None], denominators: Sequence[float | None]) -> Spread:
    """Return the spread of the ratios, taken round by round where both took part.

    What slows the machine down for a moment slows down both, and a ratio within a round hardly notices.

    Examples
    --------
    >>> ratios([3.0, None, 6.0], [2.0, 2.0, 4.0]).median
    1.5
    """
    pairs = zip(numerators, denominators, strict=True)
    return spread([a / b for a, b in pairs if a is not None and b is not None])
