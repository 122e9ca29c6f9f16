"""Random numbers that are made on the GPU, by a generator without history.

Like `minicnn.random`, but the key lies in the GPU's memory: a recorded training step, replayed, draws new
numbers as soon as there is a new key. The numbers are not those that NumPy draws from the same seed.
"""

from __future__ import annotations

import sys

import numpy as np

from minicnn.backend import Array
from minicnn.cuda.launch import C_TYPES, THREADS, launch
from minicnn.errors import UsageError


class DeviceGenerator:
    """A counter-based generator whose key lies on the GPU; takes the place of a NumPy generator in dropout.

    Parameters
    ----------
    key : CuPy array of uint64 of shape ()
        May be changed at any time. Equal keys give equal numbers.

    Attributes
    ----------
    calls : int
        How many masks were drawn; each is another one. Set it to 0 to begin anew.
    """

    def __init__(self, key: Array) -> None:
        if key.dtype != np.uint64 or key.shape != ():
            raise UsageError(
                f"DeviceGenerator: key: expected uint64 of shape (), got {key.dtype} of shape {key.shape}"
            )
        self.key = key
        self.calls = 0

    @classmethod
    def from_generator(cls, rng: np.random.Generator) -> DeviceGenerator:
        """Draw a key from a NumPy generator."""
        return cls(sys.modules["cupy"].asarray(rng.integers(2**64, dtype=np.uint64)))

    def dropout_mask(self, shape: tuple[int, ...], p: float, dtype: np.dtype) -> Array:
        """Draw a mask: 0 with probability p, else 1 / (1 - p)."""
        mask = sys.modules["cupy"].empty(shape, dtype)
        if mask.size == 0:
            return mask
        scale = dtype.type(1) / dtype.type(1 - p) if p < 1 else dtype.type(1)
        counters = -(-mask.size // 4)
        launch(
            "dropout.cu", f"dropout_mask<{C_TYPES[dtype]}>", (-(-counters // THREADS),), (THREADS,),
            mask, self.key, np.uint32(self.calls), np.int64(mask.size), np.float32(p), scale,
        )  # fmt: skip
        self.calls += 1
        return mask
