"""Many arrays for one launch: a table of where they are, in the GPU's memory (see optimizer.cu)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from minicnn.backend import Array
from minicnn.cuda.graph import keep, upload
from minicnn.cuda.launch import C_TYPES, THREADS, launch
from minicnn.errors import UsageError

MOST_BLOCKS = 64  # that share an array: enough for GoogLeNet's largest, a million numbers, to keep a GPU busy
NUMBERS_OF_A_THREAD = 4  # at least

ArrayRow: TypeAlias = tuple[Array, Array, Array]  # w, g, v


class ArrayTable:
    """Rows of three contiguous arrays of equal size and dtype; sent again only if they have moved."""

    def __init__(self) -> None:
        self._sent = np.empty((0, 4), np.uint64)
        self._on_gpu: Array = None

    def launch(self, kernel: str, rows: Sequence[ArrayRow], *arguments: Array) -> None:
        """Start a kernel of optimizer.cu on the rows."""
        keep(rows)
        dtypes = {array.dtype for row in rows for array in row}
        if len(dtypes) != 1:
            raise UsageError(f"expected arrays of one dtype, got {' and '.join(sorted(map(str, dtypes)))}")
        launch(
            "optimizer.cu", f"{kernel}<{C_TYPES[dtypes.pop()]}>", (blocks_for(rows), len(rows)), (THREADS,),
            self._addresses(rows), *arguments,
        )  # fmt: skip

    def _addresses(self, rows: Sequence[ArrayRow]) -> Array:
        addresses = np.array([(*(a.data.ptr for a in row), row[0].size) for row in rows], np.uint64)
        if not np.array_equal(addresses, self._sent):
            # A new array each time: a recorded graph may go on reading the old one.
            self._sent, self._on_gpu = addresses, upload(addresses)
        return self._on_gpu


def blocks_for(rows: Sequence[ArrayRow]) -> int:
    """Return how many blocks share each of the arrays."""
    largest = max(row[0].size for row in rows)
    return int(min(MOST_BLOCKS, -(-largest // (THREADS * NUMBERS_OF_A_THREAD))))
