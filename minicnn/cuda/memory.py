"""What to say when the GPU's memory is full, and how much of it a function takes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from minicnn.errors import DeviceMemoryError

GIB, MIB = 1 << 30, 1 << 20


def explained(error: MemoryError, what: str) -> Exception:
    """Return what to raise instead; of a full GPU an error that says what asked for how much.

    Parameters
    ----------
    error : MemoryError
        NumPy's comes back as it is.
    what : str
        Who asked, as in "conv2d in inception3a.conv3x3".
    """
    asked = re.search(r"allocating ([\d,]+) bytes", str(error))
    if "cupy" not in sys.modules or not asked:
        return error
    cupy = sys.modules["cupy"]
    free, total = cupy.cuda.runtime.memGetInfo()
    size = in_words(int(asked.group(1).replace(",", "")))
    return DeviceMemoryError(
        f"out of GPU memory: {what} asked for {size}, when {in_words(total - free)} of the "
        f"{in_words(total)} on cuda:{cupy.cuda.Device().id} were taken"
    )


def in_words(size: int) -> str:
    """Write a number of bytes in GiB, or in MiB if it is less than one.

    Examples
    --------
    >>> in_words(3 << 29), in_words(3 << 19)
    ('1.5 GiB', '1.5 MiB')
    """
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.1f} MiB"


def peak_bytes(function: Callable[[], object]) -> int:
    """Run a function on the current GPU and return the memory that it takes, at most at once."""
    cupy = sys.modules["cupy"]
    pool = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc):
        function()
    cupy.cuda.get_current_stream().synchronize()
    return int(pool.total_bytes())


def available_bytes() -> int:
    """Return how much memory is free on the current GPU, what CuPy keeps for later included."""
    cupy = sys.modules["cupy"]
    cupy.get_default_memory_pool().free_all_blocks()
    return int(cupy.cuda.runtime.memGetInfo()[0])
