"""Dropout that drops what somebody else dropped."""

from __future__ import annotations

from typing import Any

import numpy as np


class ReplayedMask(np.random.Generator):
    """A generator that draws nothing, so that minicnn's dropout keeps what somebody else's dropout kept."""

    def __init__(self, kept: np.ndarray) -> None:
        super().__init__(np.random.PCG64(0))
        self.kept = kept

    def random(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return 1 where to keep, 0 where to drop: on either side of every probability between."""
        assert shape == self.kept.shape
        return self.kept.astype(dtype)
