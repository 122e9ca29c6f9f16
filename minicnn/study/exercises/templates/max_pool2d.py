"""Exercise: the backward pass of max pooling.

    forward    y[n, p, q, c] = max over i, j of  x_pad[n, p*SH + i, q*SW + j, c]

    x          (N, H, W, C)      x_pad is x with -inf around it: padding never wins
    y, gy      (N, OH, OW, C)
    gx         (N, H, W, C)

    kernel_size                  (KH, KW)
    stride                       (SH, SW)
    padding                      ((top, bottom), (left, right))

If a pixel of a window moves a little, does the maximum move? Only for one pixel of the window. If several are
equal, the convention says which of them counts: the first, row by row. Row h and column w of x lie at row
top + h and column left + w of x_pad. The last windows may reach beyond even the padded image (ceil mode): OH
and OW are those of gy. Loops are fine: the images are small.

docs/ops/max_pool2d.md has the derivation, if you are stuck.
When you think it is right:  minicnn exercise check max_pool2d
"""

import numpy as np

Pair = tuple[int, int]


def backward(
    gy: np.ndarray, x: np.ndarray, kernel_size: Pair, stride: Pair, padding: tuple[Pair, Pair]
) -> np.ndarray:
    """Return gx."""
    raise NotImplementedError("write the backward of max pooling here")
