"""Measurement 2, first half: how fast our kernels move memory, by the rate at which the GPU copies it."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from benchmarks.gpu.kernel_cases import kernel_cases
from benchmarks.gpu.notes import Notes
from benchmarks.gpu.timing import seconds_per_call
from minicnn.backend import use_device
from minicnn.parallel import on_device_of

MOST_SETS = 32  # of arrays to rotate


def run(notes: Notes) -> None:
    """Measure the copy rate, then every kernel."""
    use_device("cuda")
    notes.note("copy_rate", copy_rate(notes.sizes.copied_bytes, notes.sizes.repeats))
    notes.note("kernels", [])
    for case in kernel_cases(notes.sizes):
        entry: dict[str, Any] = {"kernel": case.kernel, "where": case.where, "bytes": case.bytes}
        if notes.left < 2:
            entry["problem"] = "no time was left"
        else:
            try:
                sets = min(MOST_SETS, max(2, math.ceil(notes.sizes.rotating_bytes / case.bytes)))
                runs = [case.make() for _ in range(sets)]
                calls = math.ceil(notes.sizes.calls / sets) * sets
                entry["seconds"] = seconds_per_call(runs, calls, notes.sizes.repeats)
                del runs
            except Exception as error:  # noqa: BLE001 - the others go on
                entry["problem"] = f"{type(error).__name__}: {error}"
        notes.add("kernels", entry)
        sys.modules["cupy"].get_default_memory_pool().free_all_blocks()


def copy_rate(size: int, repeats: int) -> float:
    """Return the bytes that a copy within the GPU's memory reads and writes in a second."""
    cupy = sys.modules["cupy"]
    source, target = cupy.zeros(size, np.uint8), cupy.zeros(size, np.uint8)

    def copy() -> None:
        target[...] = source

    with on_device_of(source):
        return 2 * size / seconds_per_call([copy], 8, repeats)
