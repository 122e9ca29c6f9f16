"""Cases of matrix products: matmul and linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, zeros
from minicnn.ops.linear import Linear
from minicnn.ops.matmul import MatMul


def matmul_reference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply rows with columns; vectors are made matrices first, and lose the extra axis afterwards."""
    rows = a[None, :] if a.ndim == 1 else a  # (..., M, K)
    columns = b[:, None] if b.ndim == 1 else b  # (..., K, N)
    leading = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    (M, K), N = rows.shape[-2:], columns.shape[-1]
    rows = np.broadcast_to(rows, (*leading, M, K))
    columns = np.broadcast_to(columns, (*leading, K, N))
    y = np.zeros((*leading, M, N), np.result_type(a, b))
    for *stack, m, n in np.ndindex(y.shape):
        for k in range(K):
            y[(*stack, m, n)] += rows[(*stack, m, k)] * columns[(*stack, k, n)]
    y = y[..., 0] if b.ndim == 1 else y
    return (y[..., 0, :] if b.ndim > 1 else y[..., 0]) if a.ndim == 1 else y


def linear_reference(x: np.ndarray, w: np.ndarray, b: Any = None) -> np.ndarray:
    """Add up, for each sample and output, input times weight."""
    y = np.zeros((len(x), w.shape[1]), np.result_type(x, w, 0.0 if b is None else b))
    for n, o in np.ndindex(y.shape):
        for i in range(x.shape[1]):
            y[n, o] += x[n, i] * w[i, o]
        if b is not None:
            y[n, o] += b[o]
    return y


def _matmul_samples(rng: np.random.Generator) -> list[Sample]:
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "two matrices": ((3, 4), (4, 2)),
        "two stacks": ((2, 3, 4), (2, 4, 2)),
        "stacks that broadcast": ((2, 1, 3, 2), (3, 2, 4)),
        "a stack and a matrix": ((3, 2, 4), (4, 2)),
        "matrix and vector": ((3, 4), (4,)),
        "vector and matrix": ((4,), (4, 3)),
        "two vectors": ((4,), (4,)),
        "stack and vector": ((2, 3, 4), (4,)),
        "vector and stack": ((4,), (2, 4, 3)),
    }
    return [
        Sample(label, tuple(rng.standard_normal(shape) for shape in pair)) for label, pair in shapes.items()
    ]


def _linear_samples(rng: np.random.Generator) -> list[Sample]:
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "with bias": ((3, 4), (4, 2), (2,)),
        "without bias": ((3, 4), (4, 2)),
        "one sample, many outputs": ((1, 3), (3, 7), (7,)),
        "many samples, one output": ((7, 3), (3, 1), (1,)),
        "one input": ((3, 1), (1, 3), (3,)),
    }
    return [
        Sample(label, tuple(rng.standard_normal(shape) for shape in arrays))
        for label, arrays in shapes.items()
    ]


_MATMUL_ERRORS = (
    ErrorCase(
        "inner sizes differ",
        lambda: F.matmul(zeros(2, 3), zeros(4, 2)),
        r"^matmul: expected shapes \(\.\.\., M, K\) and \(\.\.\., K, N\), got \(2, 3\) and \(4, 2\)$",
    ),
    ErrorCase(
        "no axes",
        lambda: F.matmul(zeros(2, 3), zeros()),
        r"^matmul: expected shapes .* got \(2, 3\) and \(\)$",
    ),
    ErrorCase(
        "a number",
        lambda: F.matmul(2.0, zeros(2, 3)),
        r"^matmul: expected shapes .* got \(\) and \(2, 3\)$",
    ),
    ErrorCase(
        "stacks that do not broadcast",
        lambda: F.matmul(zeros(2, 3, 4), zeros(3, 4, 2)),
        r"^matmul: expected leading axes that broadcast to one, got \(2, 3, 4\) and \(3, 4, 2\)$",
    ),
    ErrorCase(
        "mixed dtypes",
        lambda: F.matmul(zeros(2, 2), zeros(2, 2, dtype=np.float32)),
        r"^matmul: expected tensors of one dtype, got float64 and float32; nothing is converted",
    ),
    ErrorCase(
        "nothing",
        lambda: F.matmul(zeros(2, 2), None),
        r"^matmul: expected a tensor, a number or an array of numbers, got NoneType$",
    ),
)

_LINEAR_ERRORS = (
    ErrorCase(
        "inputs that are not the weight's",
        lambda: F.linear(zeros(2, 3), zeros(4, 5)),
        r"^linear: x: expected shape \(N, 4\) for a weight of shape \(4, 5\), got \(2, 3\)$",
    ),
    ErrorCase(
        "images that were not flattened",
        lambda: F.linear(zeros(2, 1, 1, 4), zeros(4, 5)),
        r"^linear: x: expected shape \(N, 4\) for a weight of shape \(4, 5\), got \(2, 1, 1, 4\)$",
    ),
    ErrorCase(
        "weight of a convolution",
        lambda: F.linear(zeros(2, 4), zeros(1, 1, 4, 5)),
        r"^linear: weight: expected shape \(in, out\), got \(1, 1, 4, 5\)$",
    ),
    ErrorCase(
        "bias of another length",
        lambda: F.linear(zeros(2, 4), zeros(4, 5), zeros(4)),
        r"^linear: bias: expected shape \(5,\), got \(4,\)$",
    ),
    ErrorCase(
        "empty batch",
        lambda: F.linear(zeros(0, 4), zeros(4, 5)),
        r"^linear: x: expected at least one sample, got an empty batch: \(0, 4\)$",
    ),
    ErrorCase(
        "mixed dtypes",
        lambda: F.linear(zeros(2, 4), zeros(4, 5, dtype=np.float32)),
        r"^linear: expected tensors of one dtype, got float64 and float32; nothing is converted",
    ),
)


CASES = (
    OpCase("matmul", F.matmul, matmul_reference, _matmul_samples, (MatMul,), _MATMUL_ERRORS),
    OpCase("linear", F.linear, linear_reference, _linear_samples, (Linear,), _LINEAR_ERRORS),
)
