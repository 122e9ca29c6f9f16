"""Matrix products by cuBLAS, on matrices that may be parts of larger ones.

    out = a @ b           a (M, K), b (K, N), out (M, N)

cuBLAS keeps matrices column by column, NumPy and CuPy row by row: the memory of a row-major matrix is that of
its transpose, column-major. So we ask for the transposed product,

    out^T = b^T @ a^T

and cuBLAS writes just what a row-major `out` has to hold. The distance from one row to the next, its leading
dimension, may be larger than the row: that is how a convolution writes into some channels of a larger array.

cuBLAS is called by ctypes, with a handle of our own, because CuPy refuses to while a graph is recorded
(cublas.py).
"""

from __future__ import annotations

import sys

from minicnn.backend import Array
from minicnn.cuda import cublas
from minicnn.errors import UsageError

PRECISIONS = ("highest", "high")

_precision = "highest"


def set_float32_matmul_precision(precision: str) -> None:
    """Choose how float32 matrix products are computed on a GPU; on the CPU nothing changes.

    Parameters
    ----------
    precision : "highest" or "high"
        "highest": as float32, the start. "high": as TF32, on the tensor cores of GPUs since Ampere: factors
        are rounded to 10 bits after the binary point, sums are kept in float32. Faster, with
        errors of about a thousandth.

    Raises
    ------
    UsageError
        If it is another word.

    Examples
    --------
    >>> import minicnn
    >>> minicnn.set_float32_matmul_precision("highest")
    >>> minicnn.get_float32_matmul_precision()
    'highest'
    """
    global _precision
    if precision not in PRECISIONS:
        raise UsageError(
            f'set_float32_matmul_precision: expected "highest" (float32) or "high" (TF32), got {precision!r}'
        )
    _precision = precision


def get_float32_matmul_precision() -> str:
    """Return what was set by `set_float32_matmul_precision`."""
    return _precision


def product(a: Array, b: Array, out: Array) -> None:
    """Write a @ b into out: CuPy arrays (M, K), (K, N), (M, N) of one dtype, float32 or float64.

    The numbers in a row of `out` lie side by side; a and b may be transposed, or parts of larger matrices.
    Stacks (G, M, K), (G, K, N), (G, M, N) are multiplied one by one, in a single call.
    """
    if out.ndim == 2:
        a, b, out = a[None], b[None], out[None]
    (count, M, K), N = a.shape, b.shape[2]
    leading = max(out.strides[1] // out.itemsize, N) if M > 1 else N
    result = cublas.Operand(out, leading)
    cublas.gemm(N, M, K, _as_operand(b), _as_operand(a), result, count, tf32=_precision == "high")


def _as_operand(matrices: Array) -> cublas.Operand:
    """Describe matrices (G, rows, columns) to cuBLAS; copied if they lie in memory as it cannot read them."""
    (_, rows, columns), (apart, down, along) = matrices.shape, matrices.strides
    item = matrices.itemsize
    if apart >= 0 and apart % item == 0:
        if (along == item or columns == 1) and (down >= columns * item or rows == 1) and down % item == 0:
            return cublas.Operand(matrices, max(down // item if rows > 1 else 1, columns))
        if (down == item or rows == 1) and along >= rows * item and along % item == 0:
            return cublas.Operand(matrices, max(along // item, rows), cublas.TRANSPOSED)
    return cublas.Operand(sys.modules["cupy"].ascontiguousarray(matrices), columns)
