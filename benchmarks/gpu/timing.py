"""How long kernels take, without what Python needs to start them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.cuda.graph import WARM_UPS, RecordedFunction
from minicnn.parallel import on_device_of


def synchronize() -> None:
    """Wait for all work on the GPU, of whichever library."""
    sys.modules["cupy"].cuda.Device().synchronize()


def seconds_per_call(runs: Sequence[Callable[[], Any]], calls: int, repeats: int) -> float:
    """Return how long the GPU takes for one of `runs`.

    Parameters
    ----------
    runs : sequence of callable
        The same work on different arrays, taken in turn: more of them than the GPU's cache holds.
    calls : int
        How many are recorded as one graph; Python has no part in its replay.
    repeats : int
        Of the replay, of which the median is taken.
    """
    cupy = sys.modules["cupy"]
    nothing = cupy.zeros(1, np.float32)

    def all_calls(nothing: Any) -> tuple[Any, ...]:
        # Results are kept until their turn comes again: the next call would write to memory given back.
        results = [None] * len(runs)
        for number in range(calls):
            place = number % len(runs)
            results[place] = runs[place]()
        return (nothing,)

    recorded = RecordedFunction(all_calls, before_replay=lambda: None)
    recorded.stream = _stream(cupy)  # cuBLAS keeps a handle with its workspace for each stream there ever was
    with on_device_of(nothing):
        for _ in range(WARM_UPS + 1):
            recorded(nothing=nothing)
        return (
            float(np.median([_milliseconds(lambda: recorded(nothing=nothing)) for _ in range(repeats)]))
            / 1e3
            / calls
        )


@functools.cache
def _stream(cupy: Any) -> Any:
    return cupy.cuda.Stream(non_blocking=True)


def _milliseconds(function: Callable[[], Any]) -> float:
    cuda = sys.modules["cupy"].cuda
    start, end = cuda.Event(), cuda.Event()
    stream = cuda.get_current_stream()
    start.record(stream)
    function()
    end.record(stream)
    end.synchronize()
    return float(cuda.get_elapsed_time(start, end))
