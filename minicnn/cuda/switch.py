"""Whether an op takes its kernel or the array path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minicnn.backend import Array, array_module


class _ThreadState(threading.local):
    enabled = True  # False inside no_kernels()


_state = _ThreadState()


@contextmanager
def no_kernels() -> Iterator[None]:
    """Let ops on a GPU take the array path, in this thread, inside a `with no_kernels():` block.

    It is the same code that runs on the CPU, and so what the kernels have to agree with.
    """
    before, _state.enabled = _state.enabled, False
    try:
        yield
    finally:
        _state.enabled = before


def kernels_enabled() -> bool:
    """Tell whether this thread is outside of `no_kernels`."""
    return _state.enabled


def uses_kernels(x: Array) -> bool:
    """Tell whether an op on x takes kernels: on a GPU, for float32 and float64, outside of `no_kernels`."""
    return array_module(x) is not np and x.dtype.char in "fd" and _state.enabled
