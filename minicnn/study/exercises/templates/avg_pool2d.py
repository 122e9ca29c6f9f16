"""Exercise: the backward pass of average pooling.

    forward    y[n, p, q, c] = 1 / count[p, q] * sum over i, j of  x_pad[n, p*SH + i, q*SW + j, c]

    x          (N, H, W, C)      x_pad is x with zeros around it
    x_shape                      (N, H, W, C): forward needs no more of x
    count      (OH, OW)          of how many places each window takes the mean
    y, gy      (N, OH, OW, C)
    gx         (N, H, W, C)

    kernel_size                  (KH, KW)
    stride                       (SH, SW)
    padding                      ((top, bottom), (left, right))

Row h and column w of x lie at row top + h and column left + w of x_pad. A pixel may be in several windows, or
in none. The last windows may reach beyond even the padded image (ceil mode): OH and OW are those of gy, and
what lies outside the image receives no gradient that anybody wants. Loops are fine: the images are small.

docs/ops/avg_pool2d.md has the derivation, if you are stuck.
When you think it is right:  minicnn exercise check avg_pool2d
"""

import numpy as np

Pair = tuple[int, int]


def backward(
    gy: np.ndarray,
    x_shape: tuple[int, int, int, int],
    count: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
) -> np.ndarray:
    """Return gx."""
    raise NotImplementedError("write the backward of average pooling here")
