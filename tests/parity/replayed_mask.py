"""Dropout that drops what somebody else dropped."""

from __future__ import annotations

from typing import Any

import numpy as np


class ReplayedMask:
    """Stands in for a random generator, so that minicnn's dropout keeps what somebody else's dropout kept."""

    def __init__(self, kept: np.ndarray) -> None:
        self.kept = kept

    def random(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return 1 where to keep, 0 where to drop: on either side of every probability between."""
        assert shape == self.kept.shape
        return self.kept.astype(dtype)
