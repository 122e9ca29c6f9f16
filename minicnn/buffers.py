"""Memory for large arrays that is used again, instead of being given back and mapped anew.

What the operating system hands out comes page by page, each cleared on first touch; a training step that
allocates the same outputs and gradients as the step before would pay for that in every step. So `empty`
takes memory from a store, and it returns there when the last array that looks at it is gone.

The store belongs to minicnn: nothing changes for other arrays of the program. It holds at most half as much
again as was in use at once at some time, or 256 MiB; `release_memory` gives back what is not in use.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import deque

import numpy as np
from numpy.typing import DTypeLike

from minicnn.backend import Array, array_module

# Below this, NumPy's own allocation costs less than the bookkeeping here.
SMALLEST = 1 << 16  # bytes
# A block may be so many times as large as what it is used for, and all blocks together so many times as large
# as what was in use at once. With less, blocks are let go that the next training step needs again.
SLACK = 1.5
ALWAYS_KEPT = 256 << 20  # bytes; evaluation has few arrays at a time, but of many sizes
CACHE_LINE = 64  # bytes


class _Loan(weakref.ref[np.ndarray]):
    """Who has borrowed a block, without keeping the borrower alive."""

    block: np.ndarray
    size: int  # what was asked for


class _Store:
    """Blocks of memory, lent to arrays or free."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.free: dict[int, list[np.ndarray]] = {}  # by size; the size that was used last comes last
        self.loans: dict[int, _Loan] = {}  # by id
        # Loans whose borrower is gone. An array may be collected at any moment, in the middle of the methods
        # below too, so nothing else is done about it then.
        self.over: deque[_Loan] = deque()
        self.bytes_free = self.bytes_lent = self.most_lent = 0

    def borrow(self, size: int) -> np.ndarray:
        """Lend a block of at least `size` bytes, until the array returned is collected."""
        with self.lock:
            self.take_back()
            block = self.take(size)
            self.bytes_lent += block.nbytes
            self.most_lent = max(self.most_lent, self.bytes_lent)
            # By way of a memoryview: views of a view hold on to the first array that is no view of an array,
            # which has to be the borrower and not `block`.
            borrower = np.frombuffer(block.data[:size], np.uint8)
            loan = _Loan(borrower, self.over.append)
            loan.block, loan.size = block, size
            self.loans[id(loan)] = loan
            return borrower

    def take(self, size: int) -> np.ndarray:
        """Find the smallest free block that is large enough and not much too large, or make a new one."""
        fitting = min((s for s in self.free if size <= s <= SLACK * size), default=None)
        if fitting is None:
            most = max(int(SLACK * self.most_lent), ALWAYS_KEPT)
            self.shrink(most - self.bytes_lent - size)
            return aligned_bytes(size)
        blocks = self.free.pop(fitting)
        block = blocks.pop()
        if blocks:
            self.free[fitting] = blocks
        self.bytes_free -= block.nbytes
        return block

    def take_back(self) -> None:
        """Free the blocks of borrowers that are gone."""
        while self.over:
            block = self.loans.pop(id(self.over.popleft())).block
            self.bytes_lent -= block.nbytes
            self.bytes_free += block.nbytes
            self.free[block.nbytes] = [*self.free.pop(block.nbytes, []), block]

    def shrink(self, size: int) -> None:
        """Let go of free blocks until at most `size` bytes are left; the longest unused size goes first."""
        while self.bytes_free > max(size, 0):
            unused = next(iter(self.free))
            self.bytes_free -= unused * len(self.free.pop(unused))

    def release(self) -> None:
        """Let go of all free blocks."""
        with self.lock:
            self.take_back()
            self.shrink(0)


_store = _Store()


def empty(shape: tuple[int, ...], like: Array, dtype: DTypeLike | None = None) -> Array:
    """Return an uninitialised array, in memory that may have been used before.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    like : array
        Gives the kind of array, NumPy or CuPy (which has a store of its own), and the dtype.
    dtype : dtype, optional
        Another dtype.

    Examples
    --------
    >>> empty((2, 3), np.zeros(1, np.float32)).shape
    (2, 3)
    """
    xp = array_module(like)
    dtype = np.dtype(like.dtype if dtype is None else dtype)
    size = math.prod(shape) * dtype.itemsize
    if xp is not np or size < SMALLEST:
        return xp.empty(shape, dtype)
    return np.ndarray(shape, dtype, _store.borrow(size))


def owns_its_memory(array: Array) -> bool:
    """Tell whether `array` is all there is in its memory: no view of a part, made by NumPy or by `empty`.

    With those made by `empty`, a view of all of such an array counts as well: two may have the same `base`.
    """
    if array.base is None:
        return True
    loans = [loan for loan in weakref.getweakrefs(array.base) if isinstance(loan, _Loan)]
    return any(loan.size == array.nbytes for loan in loans) and array.flags.c_contiguous


def release_memory() -> None:
    """Give the memory that is kept for later arrays back to the system; arrays in use stay."""
    _store.release()


def aligned_bytes(size: int) -> np.ndarray:
    """Return `size` uninitialised bytes that begin where a cache line does."""
    block = np.empty(size + CACHE_LINE, np.uint8)
    start = -block.ctypes.data % CACHE_LINE
    return block[start : start + size]
