"""Matrix products written into an array that is there already, on the CPU and on a GPU.

The convolutions' and the fully connected layers' (docs/ops/conv2d.md: `cols @ w`).

Derivation: docs/ops/linear.md.
"""

from __future__ import annotations

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.cuda import cublas
from minicnn.cuda.products import product


def multiply_into(a: Array, b: Array, out: Array) -> None:
    """Write a @ b into out: (M, K) @ (K, N) into (M, N); or stacks of these, with leading axes.

    The numbers in a row of `out` lie side by side, but it may be a slice of the columns of a larger matrix.
    Leading axes of a and b broadcast; if `out` has more than one of them, it is contiguous.
    """
    if array_module(out) is np:
        np.matmul(a, b, out=out)
    elif out.dtype not in cublas.TYPES:
        out[...] = a @ b
    else:
        stack = out.shape[:-2]
        product(_stacked(a, stack), _stacked(b, stack), _stacked(out, stack))


def _stacked(matrices: Array, stack: tuple[int, ...]) -> Array:
    """Broadcast matrices on a GPU to these leading axes, and make one axis of them if there are more."""
    if matrices.shape[:-2] != stack:
        matrices = array_module(matrices).broadcast_to(matrices, (*stack, *matrices.shape[-2:]))
    return matrices.reshape(-1, *matrices.shape[-2:]) if len(stack) > 1 else matrices
