"""Matrix products by way of arrays. CuPy leaves those of floating-point numbers to cuBLAS."""

from typing import Any

import numpy as np

from emulated_cupy.array import array_operand, compute, ndarray
from emulated_cupy.blas import refuse_cublas_during_capture
from emulated_cupy.ufuncs import write_result


def _product(function: Any, a: Any, b: Any, out: Any) -> ndarray:
    left, right = array_operand(a), array_operand(b)
    if left.dtype.kind == "f" or right.dtype.kind == "f":
        refuse_cublas_during_capture()
    if out is None:
        return compute(lambda: function(left, right), (a, b))
    write_result(lambda: function(left, right), out, (a, b))
    return out


def matmul(a: Any, b: Any, out: Any = None) -> ndarray:
    return _product(np.matmul, a, b, out)


def dot(a: Any, b: Any, out: Any = None) -> ndarray:
    return _product(np.dot, a, b, out)


def tensordot(a: Any, b: Any, axes: Any = 2) -> ndarray:
    return _product(lambda left, right: np.tensordot(left, right, axes), a, b, None)


def outer(a: Any, b: Any, out: Any = None) -> ndarray:
    return _product(np.outer, a, b, out)


def einsum(*operands: Any) -> ndarray:
    subscripts, *arrays = operands
    sources = [array_operand(x) for x in arrays]
    refuse_cublas_during_capture()
    return compute(lambda: np.einsum(subscripts, *sources), operands)


PRODUCTS = {function.__name__: function for function in (matmul, dot, tensordot, outer, einsum)}
