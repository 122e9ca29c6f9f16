"""cuBLAS, called by ctypes.

CuPy calls it too, but not while a graph is recorded: its handles are shared with others and need their stream
set anew for each call. A handle of our own for each stream has its stream once and for all, and a workspace
of its own: without one, cuBLAS would allocate memory inside of the graph.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
import threading
from typing import Any, NamedTuple

import numpy as np

from minicnn.backend import Array
from minicnn.errors import DeviceError

AS_IT_IS, TRANSPOSED = 0, 1  # cublasOperation_t
TYPES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}  # cudaDataType: CUDA_R_32F, CUDA_R_64F
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70  # cublasComputeType_t
DEFAULT_ALGORITHM = -1
WORKSPACE_BYTES = 32 << 20  # what NVIDIA recommends for Hopper; older GPUs need less


class Operand(NamedTuple):
    """A matrix in the GPU's memory, or several of one shape.

    Attributes
    ----------
    array : array of shape (G, rows, columns)
        All of them.
    leading : int
        How many numbers lie from one column to the next, cuBLAS's leading dimension.
    operation : int, default=AS_IT_IS
        What cuBLAS shall do with it, `AS_IT_IS` or `TRANSPOSED`.
    """

    array: Array
    leading: int
    operation: int = AS_IT_IS

    @property
    def apart(self) -> int:
        """How many numbers lie from the beginning of a matrix to that of the next."""
        return int(self.array.strides[0] // self.array.itemsize)


class _Handle(NamedTuple):
    pointer: ctypes.c_void_p
    workspace: Array  # has to live as long


class _ThreadState(threading.local):
    """The handles of a thread: two on the thread that trains, with the stream it records on.

    They are never destroyed. `cublasDestroy` waits for the whole device: from a finaliser, which may run at
    any time and in any thread, it would spoil a graph that is being recorded elsewhere; after the driver has
    shut down it may crash. Besides, only a thread that ends before the process leaves handles behind, and
    those who compute on a GPU start none: all tiles are the calling thread's (`parallel.on_device_of`).
    """

    def __init__(self) -> None:
        self.handles: dict[tuple[int, int], _Handle] = {}  # by device and stream


_state = _ThreadState()


def gemm(m: int, n: int, k: int, a: Operand, b: Operand, c: Operand, count: int, tf32: bool) -> None:
    """Write op(a) @ op(b) into c, all column by column: (m, k) times (k, n), `count` times.

    It is `cublasGemmEx`, and for more than one product `cublasGemmStridedBatchedEx`.
    """
    dtype = c.array.dtype
    one, zero = np.ones((), dtype), np.zeros((), dtype)
    compute = COMPUTE_64F if dtype == np.float64 else COMPUTE_32F_FAST_TF32 if tf32 else COMPUTE_32F
    library = _library()

    def described(operand: Operand) -> list[Any]:
        description = [_pointer(operand.array), TYPES[dtype], operand.leading]
        return description if count == 1 else [*description, ctypes.c_longlong(operand.apart)]

    function = library.cublasGemmEx if count == 1 else library.cublasGemmStridedBatchedEx
    status = function(
        _handle(library), a.operation, b.operation, m, n, k,
        _address(one), *described(a), *described(b), _address(zero), *described(c),
        *([] if count == 1 else [count]), compute, DEFAULT_ALGORITHM,
    )  # fmt: skip
    _check(status, f"{'a product' if count == 1 else f'{count} products'} of ({m}, {k}) and ({k}, {n})")


def _handle(library: Any) -> ctypes.c_void_p:
    """Return the handle for the current device and stream of this thread."""
    cupy = sys.modules["cupy"]
    stream = cupy.cuda.get_current_stream().ptr
    place = (cupy.cuda.runtime.getDevice(), stream)
    if place not in _state.handles:
        pointer = ctypes.c_void_p()
        workspace = cupy.empty(WORKSPACE_BYTES, np.uint8)
        _check(library.cublasCreate_v2(ctypes.byref(pointer)), "making a handle")
        _check(library.cublasSetStream_v2(pointer, ctypes.c_void_p(stream)), "setting a stream")
        _check(
            library.cublasSetWorkspace_v2(pointer, _pointer(workspace), ctypes.c_size_t(WORKSPACE_BYTES)),
            "setting a workspace",
        )
        _state.handles[place] = _Handle(pointer, workspace)
    return _state.handles[place].pointer


@functools.cache
def _library() -> Any:
    """Return the library that CuPy has loaded: found by its name, it is not loaded a second time."""
    _ = importlib.import_module("cupy_backends.cuda.libs").cublas  # loads the library
    major = sys.modules["cupy"].cuda.runtime.runtimeGetVersion() // 1000
    return ctypes.CDLL(f"cublas64_{major}.dll" if sys.platform == "win32" else f"libcublas.so.{major}")


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.data.ptr)


def _address(number: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(number.ctypes.data)


def _check(status: int, what: str) -> None:
    if status != 0:
        raise DeviceError(f"cuBLAS failed with status {status} at {what}")
