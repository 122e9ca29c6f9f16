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
    """Write a @ b into out: (M, K) @ (K, N) into (M, N), or G such products (G, M, K) @ (G, K, N).

    The numbers in a row of `out` lie side by side, but it may be a slice of the columns of a larger matrix.
    """
    if array_module(out) is np:
        np.matmul(a, b, out=out)
    elif out.dtype not in cublas.TYPES:
        out[...] = a @ b
    else:
        product(a, b, out)
