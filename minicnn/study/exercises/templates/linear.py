"""Exercise: the backward pass of a fully connected layer.

    forward    y[n, o] = sum over i of  x[n, i] * w[i, o]  +  b[o]          that is  y = x @ w + b

    x          (N, I)     N samples with I inputs each
    w          (I, O)
    b          (O,)
    y, gy      (N, O)
    gx gw gb   the shapes of x, w and b

For each of the three: which elements of y does this number take part in, and with what factor? Sum gy times
the factor over all of them. Two of the answers are matrix products; the shapes leave little choice of what
has to be transposed. b does not occur in any derivative, so it is not handed to you.

docs/ops/linear.md has the derivation, if you are stuck.
When you think it is right:  minicnn exercise check linear
"""

import numpy as np


def backward(gy: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gx, gw, gb."""
    raise NotImplementedError("write the backward of the linear layer here")
