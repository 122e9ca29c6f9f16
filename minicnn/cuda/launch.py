"""Starting a kernel: how many threads, and what they get.

A kernel that works on images is started with a thread for every pack of V neighbouring channels of a pixel:
threadIdx.x runs along the channels, so that neighbouring threads work on neighbouring memory, and the pixels
are spread over threadIdx.y and blockIdx.x.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from minicnn.backend import Array
from minicnn.cuda.kernels import kernel

THREADS = 256  # in a block
THREADS_ACROSS = 64  # of these, at most so many along the channels
PACK_BYTES = 16  # the most a thread reads or writes at once
C_TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.uint8): "unsigned char",
    np.dtype(np.uint16): "unsigned short",
}


def launch(
    file: str,
    instance: str,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    *arguments: Any,
    shared_bytes: int = 0,
) -> None:
    """Start a kernel on the current stream.

    Parameters
    ----------
    file, instance : str
        As in `kernels.KERNELS`.
    grid, block : tuple of int
        Blocks, and threads in a block: (x, y).
    *arguments
        Arrays; None for a null pointer; ints, which the kernel takes as `int`; NumPy scalars of any other
        type.
    shared_bytes : int, default=0
        Shared memory for a block.
    """
    prepared = tuple(map(_as_argument, arguments))
    kernel(file, instance)(grid, block, prepared, shared_mem=shared_bytes)


def _as_argument(value: Any) -> Any:
    if value is None:
        return np.uintp(0)
    return np.int32(value) if type(value) is int else value


def launch_over_pixels(
    file: str,
    name: str,
    pixels: int,
    channels: int,
    arrays: tuple[Array, ...],
    *arguments: Any,
    numbers: int | None = None,
    places: np.dtype | None = None,
    pixels_of_a_thread: int = 1,
    most_across: int = THREADS_ACROSS,
) -> None:
    """Start a kernel<T, V> or kernel<T, V, Place> with a thread for each pack of channels of each pixel.

    Parameters
    ----------
    file, name : str
        The kernel; its types follow from the arrays.
    pixels, channels : int
        How many there are. `pixels` is the first argument after the arrays.
    arrays : tuple of array or None
        What the kernel takes first; None is a null pointer. The first has type T.
    *arguments
        As for `launch`.
    numbers : int, optional
        How many numbers the threads of a pixel share, if not its channels.
    places : dtype, optional
        The type Place of kernels that have one.
    pixels_of_a_thread : int, default=1
        Neighbouring pixels that a thread works on.
    most_across : int, default=64
        Threads of a block along the channels. With fewer than usual, the other channels are on blockIdx.y.
    """
    V = pack_width(channels, *arrays)
    packs = (numbers or channels) // V
    threads = block_for(packs, most_across)
    groups = -(-packs // threads[0]) if most_across < THREADS_ACROSS else 1
    grid = (-(-pixels // (threads[1] * pixels_of_a_thread)), groups)
    types = [C_TYPES[arrays[0].dtype], str(V), *([] if places is None else [C_TYPES[places]])]
    launch(file, f"{name}<{', '.join(types)}>", grid, threads, *arrays, pixels, *arguments)


def pack_width(channels: int, *arrays: Array | None) -> int:
    """Return how many neighbouring channels a thread can read at once, V: 16 bytes of them, or only one.

    Examples
    --------
    >>> class Aligned:
    ...     dtype, strides, data = np.dtype(np.float32), (256, 4), type("memory", (), {"ptr": 512})
    >>> pack_width(64, Aligned), pack_width(63, Aligned)
    (4, 1)
    """
    given = [array for array in arrays if array is not None]
    V = PACK_BYTES // given[0].dtype.itemsize
    fits = channels % V == 0 and all(
        array.data.ptr % (V * array.dtype.itemsize) == 0
        and all(stride % (V * array.dtype.itemsize) == 0 for stride in array.strides[:-1])
        for array in given
    )
    return V if fits else 1


def block_for(packs: int, most_across: int = THREADS_ACROSS) -> tuple[int, int]:
    """Return the threads of a block: along the packs of a pixel as many as there are, the rest over pixels.

    Examples
    --------
    >>> block_for(48), block_for(3), block_for(1000)
    ((64, 4), (4, 64), (64, 4))
    """
    along = min(most_across, 1 << (packs - 1).bit_length())
    return along, THREADS // along


def evenly_spaced(x: Array) -> tuple[Array, int]:
    """Return x (..., C), or a copy if its rows are not evenly spaced in memory; and how many numbers apart.

    So a slice of some channels of a larger array need not be copied.
    """
    step = x.strides[-2] // x.itemsize if x.ndim > 1 else x.shape[-1]
    expected = step * x.itemsize
    for size, stride in zip(x.shape[-2::-1], x.strides[-2::-1], strict=True):
        if size != 1 and stride != expected:
            return sys.modules["cupy"].ascontiguousarray(x), x.shape[-1]
        expected *= size
    if (x.shape[-1] != 1 and x.strides[-1] != x.itemsize) or step < x.shape[-1]:
        return sys.modules["cupy"].ascontiguousarray(x), x.shape[-1]
    return x, step
