"""cuBLAS: matrix products of raw pointers, column-major, with cuBLAS's own checks.

CuPy refuses cuBLAS while the current stream captures ("calling cuBLAS API during stream capture is currently
unsupported"; it does so in `setStream`, which each of its wrappers calls), though cuBLAS itself could be
captured. So does the stand-in. Whoever goes round CuPy and calls the library itself, by ctypes, finds its
functions in `library()`: those are captured as cuBLAS's are.
"""

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

from emulated_cupy.capture import current_capture, execute
from emulated_cupy.memory import allocation_at
from emulated_cupy.session import session

CONSTANTS = {
    "CUBLAS_OP_N": 0,
    "CUBLAS_OP_T": 1,
    "CUBLAS_OP_C": 2,
    "CUBLAS_COMPUTE_16F": 64,
    "CUBLAS_COMPUTE_16F_PEDANTIC": 65,
    "CUBLAS_COMPUTE_32F": 68,
    "CUBLAS_COMPUTE_32F_PEDANTIC": 69,
    "CUBLAS_COMPUTE_32F_FAST_16F": 74,
    "CUBLAS_COMPUTE_32F_FAST_16BF": 75,
    "CUBLAS_COMPUTE_32F_FAST_TF32": 77,
    "CUBLAS_COMPUTE_64F": 70,
    "CUBLAS_COMPUTE_64F_PEDANTIC": 71,
    "CUBLAS_DEFAULT_MATH": 0,
    "CUBLAS_TENSOR_OP_MATH": 1,
    "CUBLAS_GEMM_DEFAULT": -1,
    "CUBLAS_GEMM_DFALT": -1,
    "CUBLAS_GEMM_DEFAULT_TENSOR_OP": 99,
    "CUBLAS_GEMM_DFALT_TENSOR_OP": 99,
    "CUBLAS_POINTER_MODE_HOST": 0,
    "CUBLAS_POINTER_MODE_DEVICE": 1,
}
_DTYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64)}  # by cudaDataType
_COMPUTE = {0: (68, 69, 74, 75, 77), 1: (70, 71)}  # by cudaDataType
# CUBLAS_TF32_TENSOR_OP_MATH is 3; 2 is PEDANTIC, 16 and up are flags about reductions.
_MATH_MODES = range(4)
_STATUS = {7: "CUBLAS_STATUS_INVALID_VALUE", 15: "CUBLAS_STATUS_NOT_SUPPORTED"}


class CUBLASError(RuntimeError):
    """As `cupy_backends.cuda.libs.cublas.CUBLASError`."""

    def __init__(self, status: int, detail: str = "") -> None:
        self.status = status
        super().__init__(_STATUS[status] + (f" ({detail})" if detail else ""))


CUBLASError.__module__ = "cupy_backends.cuda.libs.cublas"


def refuse_cublas_during_capture() -> None:
    """Raise what CuPy raises."""
    if current_capture() is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")


def _stored(
    pointer: int, rows: int, columns: int, ld: int, stride: int, count: int, dtype: Any, name: str
) -> Any:
    """View column-major matrices at an address as (count, rows, columns), with what keeps them alive."""
    if ld < max(1, rows):
        raise CUBLASError(7, f"ld{name.lower()} is {ld}, {name} has {rows} rows")
    if 0 in (rows, columns, count):
        return np.zeros((count, rows, columns), dtype), None
    last = (count - 1) * stride + (columns - 1) * ld + rows
    if stride < 0:
        raise CUBLASError(7, f"stride of {name} is {stride}")
    memory = allocation_at(pointer, last * dtype.itemsize, name)
    if pointer % dtype.itemsize:
        raise CUBLASError(7, f"{name} is not aligned to {dtype.itemsize} bytes")
    start = pointer - memory.ptr
    flat = memory.body[start : start + last * dtype.itemsize].view(dtype)
    size = dtype.itemsize
    strides = (stride * size, size, ld * size)
    return np.lib.stride_tricks.as_strided(flat, (count, rows, columns), strides), memory


def _scalar(address: int, dtype: Any) -> Any:
    """Read alpha or beta, in host memory."""
    if not address:
        raise CUBLASError(7, "alpha or beta is a null pointer")
    return np.frombuffer(ctypes.string_at(address, dtype.itemsize), dtype)[0]


def _gemm(
    transa: int, transb: int, m: int, n: int, k: int, alpha: int,
    A: int, Atype: int, lda: int, strideA: int, B: int, Btype: int, ldb: int, strideB: int,
    beta: int, C: int, Ctype: int, ldc: int, strideC: int, count: int, computeType: int,
) -> None:  # fmt: skip
    if not (Atype == Btype == Ctype) or computeType not in _COMPUTE.get(Atype, ()):
        raise CUBLASError(15, f"types {Atype}, {Btype}, {Ctype} computed as {computeType}")
    if transa not in (0, 1, 2) or transb not in (0, 1, 2) or min(m, n, k, count) < 0:
        raise CUBLASError(7, f"trans {transa}, {transb}, m, n, k, count {m}, {n}, {k}, {count}")
    dtype = _DTYPES[Atype]
    shape_a, shape_b = ((k, m) if transa else (m, k)), ((n, k) if transb else (k, n))
    a, keep_a = _stored(A, *shape_a, lda, strideA, count, dtype, "A")
    b, keep_b = _stored(B, *shape_b, ldb, strideB, count, dtype, "B")
    c, keep_c = _stored(C, m, n, ldc, strideC, count, dtype, "C")
    one_after_the_other = strideC >= (n - 1) * ldc + m
    side_by_side = m <= strideC and (count - 1) * strideC + m <= ldc
    if count > 1 and m and n and not one_after_the_other and not side_by_side:
        raise CUBLASError(7, f"matrices of C overlap: stride {strideC}")
    scale, share = _scalar(alpha, dtype), _scalar(beta, dtype)
    a = a.transpose(0, 2, 1) if transa else a
    b = b.transpose(0, 2, 1) if transb else b

    def multiply() -> None:
        product = scale * np.matmul(a, b)
        if share != 0:  # else C is not read: it may hold NaN
            product += share * c
        c[...] = product

    execute(multiply, keep=(keep_a, keep_b, keep_c))


def gemmEx(
    handle: int, transa: int, transb: int, m: int, n: int, k: int, alpha: int,
    A: int, Atype: int, lda: int, B: int, Btype: int, ldb: int,
    beta: int, C: int, Ctype: int, ldc: int, computeType: int, algo: int,
) -> None:  # fmt: skip
    _check_handle(handle)
    refuse_cublas_during_capture()
    _gemm(
        transa, transb, m, n, k, alpha, A, Atype, lda, 0, B, Btype, ldb, 0, beta, C, Ctype, ldc, 0, 1,
        computeType,
    )  # fmt: skip


def gemmStridedBatchedEx(
    handle: int, transa: int, transb: int, m: int, n: int, k: int, alpha: int,
    A: int, Atype: int, lda: int, strideA: int, B: int, Btype: int, ldb: int, strideB: int,
    beta: int, C: int, Ctype: int, ldc: int, strideC: int, batchCount: int, computeType: int, algo: int,
) -> None:  # fmt: skip
    _check_handle(handle)
    refuse_cublas_during_capture()
    _gemm(
        transa, transb, m, n, k, alpha, A, Atype, lda, strideA, B, Btype, ldb, strideB,
        beta, C, Ctype, ldc, strideC, batchCount, computeType,
    )  # fmt: skip


def setMathMode(handle: int, mode: int) -> None:
    _check_handle(handle)
    if mode not in _MATH_MODES:
        raise CUBLASError(7, f"math mode {mode}")
    session.math_modes[handle] = mode


def getMathMode(handle: int) -> int:
    _check_handle(handle)
    return session.math_modes.get(handle, 0)


def setStream(handle: int, stream: int) -> None:
    _check_handle(handle)
    refuse_cublas_during_capture()


def _check_handle(handle: int) -> None:
    from emulated_cupy.devices import get_cublas_handle

    if handle != get_cublas_handle():
        raise CUBLASError(7, "the handle is not that of the current device")


CUBLAS = CONSTANTS | {
    function.__name__: function
    for function in (CUBLASError, gemmEx, gemmStridedBatchedEx, setMathMode, getMathMode, setStream)
}


# ---- the library itself, for ctypes ----


def library() -> Any:
    """Return what `ctypes.CDLL("libcublas.so")` would: C functions that return a status, 0 for success.

    A handle is CuPy's, or was made by `cublasCreate_v2`, on a device of its own and for the stream that it
    was given; it has to be used with these as the current ones, for the stand-in computes at once.
    """
    streams: dict[int, tuple[int, int]] = {}  # of our own handles, by handle: device and stream

    def create(address: Any) -> int:
        from emulated_cupy.devices import getDevice

        if current_capture() is not None:
            return 14  # CUBLAS_STATUS_INTERNAL_ERROR: it would allocate
        address._obj.value = 0xB1A50000 + len(streams)
        streams[address._obj.value] = (getDevice(), 0)
        return 0

    def c_function(function: Any, long_long_at: tuple[int, ...] = ()) -> Any:
        def call(*args: Any) -> int:
            assert all(isinstance(args[place], ctypes.c_longlong) for place in long_long_at), "a C int"
            values = [getattr(arg, "value", arg) or 0 for arg in args]
            try:
                function(*values)
            except CUBLASError as error:
                return error.status
            return 0

        return call

    def set_stream(handle: int, stream: int) -> None:
        from emulated_cupy.capture import get_current_stream

        check_handle(handle)
        if stream != get_current_stream().ptr:
            raise CUBLASError(7, "the stream is not the current one")
        if handle in streams:
            streams[handle] = (streams[handle][0], stream)

    def check_handle(handle: int) -> None:
        from emulated_cupy.devices import getDevice

        if handle not in streams:
            _check_handle(handle)
        elif getDevice() != streams[handle][0]:
            raise CUBLASError(7, "the handle is not of the current device")

    def set_workspace(handle: int, workspace: int, size: int) -> None:
        check_handle(handle)
        if workspace % 256:
            raise CUBLASError(7, "the workspace is not aligned to 256 bytes")
        allocation_at(workspace, size, "workspace")

    def check_stream(handle: int) -> None:
        from emulated_cupy.capture import get_current_stream

        check_handle(handle)
        if handle in streams and streams[handle][1] != get_current_stream().ptr:
            raise CUBLASError(7, "the stream of the handle is not the current one")

    def gemm_ex(handle: int, *args: Any) -> None:
        check_stream(handle)
        t, u, m, n, k, alpha, A, At, lda, B, Bt, ldb, beta, C, Ct, ldc, compute_type, _ = args
        _gemm(t, u, m, n, k, alpha, A, At, lda, 0, B, Bt, ldb, 0, beta, C, Ct, ldc, 0, 1, compute_type)

    def gemm_strided_batched_ex(handle: int, *args: Any) -> None:
        check_stream(handle)
        _gemm(*args[:-1])

    return SimpleNamespace(
        cublasCreate_v2=create,
        cublasSetStream_v2=c_function(set_stream),
        cublasSetWorkspace_v2=c_function(set_workspace),
        cublasSetMathMode=c_function(setMathMode),
        cublasGemmEx=c_function(gemm_ex),
        cublasGemmStridedBatchedEx=c_function(gemm_strided_batched_ex, long_long_at=(10, 14, 19)),
    )
