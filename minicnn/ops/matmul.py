"""Matrix product, of stacks of matrices too.

    y  = a @ b
    ga = gy @ b^T
    gb = a^T @ gy

    a   (..., M, K)               leading axes broadcast, as in NumPy;
    b   (..., K, N)               a vector is a matrix with one row (left) or one column (right)
    y   (..., M, N)

Derivation: docs/ops/matmul.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.errors import ShapeError
from minicnn.ops.arithmetic import operands, sum_to_shape
from minicnn.ops.matrix_product import multiply_into
from minicnn.parallel import pinned_blas
from minicnn.tensor import Function, Tensor


class MatMul(Function):
    """Matrix product."""

    name = "matmul"
    takes_integers = True

    def forward(self, a: Array, b: Array) -> Array:
        """Return a @ b; saves both."""
        self.save(a, b)
        return matrix_product(a, b)

    def backward(self, gy: Array) -> tuple[Array | None, Array | None]:
        """Return ga and gb."""
        a, b = self.saved
        rows = a[None, :] if a.ndim == 1 else a  # (..., M, K)
        columns = b[:, None] if b.ndim == 1 else b  # (..., K, N)
        # Put back the axes of size 1 that a vector's product has lost.
        gy = gy[..., None] if b.ndim == 1 else gy
        gy = gy[..., None, :] if a.ndim == 1 else gy  # (..., M, N)
        ga = gb = None
        if self.needs_gradient[0]:
            ga = sum_to_shape(matrix_product(gy, columns.swapaxes(-1, -2)), rows.shape).reshape(a.shape)
        if self.needs_gradient[1]:
            gb = sum_to_shape(matrix_product(rows.swapaxes(-1, -2), gy), columns.shape).reshape(b.shape)
        return ga, gb


def matrix_product(a: Array, b: Array) -> Array:
    """Compute a @ b; two matrices by way of `multiply_into`, on which the other ops build too."""
    if a.dtype == b.dtype and a.dtype.kind == "f" and a.size and b.size:
        if a.ndim == b.ndim == 2:
            product = empty((a.shape[0], b.shape[1]), a)
            with pinned_blas():  # the same bits for any number of threads
                multiply_into(a, b, out=product)
            return product
        if array_module(a) is not np:
            return _product_on_gpu(a, b)
    with pinned_blas():
        return a @ b


def _product_on_gpu(a: Array, b: Array) -> Array:
    """Multiply vectors or stacks by `multiply_into`: CuPy's own product cannot be recorded as a graph."""
    rows = a[None, :] if a.ndim == 1 else a  # (..., M, K)
    columns = b[:, None] if b.ndim == 1 else b  # (..., K, N)
    stack = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    product = empty((*stack, rows.shape[-2], columns.shape[-1]), a)
    multiply_into(rows, columns, out=product)
    M, N = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()  # a vector leaves no axis behind
    return product.reshape((*stack, *M, *N))


def matmul(a: Any, b: Any) -> Tensor:
    """Multiply matrices, or stacks of them, as `numpy.matmul` does.

    Parameters
    ----------
    a : Tensor or array of shape (..., M, K) or (K,)
    b : Tensor or array of shape (..., K, N) or (K,)
        At least one of the two is a Tensor.

    Returns
    -------
    Tensor of shape (..., M, N), without M or N where the operand is a vector

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> matmul(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]])).data
    array([[11.]], dtype=float32)
    """
    a, b = operands("matmul", a, b)
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0] if b.ndim else None
    if a.ndim == 0 or inner is None or a.shape[-1] != inner:
        raise ShapeError(f"matmul: expected shapes (..., M, K) and (..., K, N), got {a.shape} and {b.shape}")
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul: expected leading axes that broadcast to one, got {a.shape} and {b.shape}"
        ) from None
    return MatMul().apply(a, b)
