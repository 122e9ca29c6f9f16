"""Exercise: the backward pass of local response normalisation.

    forward    u[..., c] = k + alpha / size * sum over d of  x[..., d]^2
               y[..., c] = x[..., c] * u[..., c]^(-beta)

    where d runs over the window of c:  from c - size//2 to c + (size-1)//2, as far as there are channels

    x, u, y, gy, gx    (..., C)      channels last; there may be two axes or four
    size, alpha, beta                numbers

x[c] occurs in y[c] directly, and in u[d] of every channel d in whose window c lies. So gx has two terms. Mind
the second one where size is even: is c in the window of d when d is in the window of c?

docs/ops/local_response_norm.md has the derivation, if you are stuck.
When you think it is right:  minicnn exercise check lrn
"""

import numpy as np


def backward(
    gy: np.ndarray, x: np.ndarray, u: np.ndarray, size: int, alpha: float, beta: float
) -> np.ndarray:
    """Return gx."""
    raise NotImplementedError("write the backward of local response normalisation here")
