"""Exercise: the backward pass of a convolution by im2col.

    forward    y[n, p, q, o] = b[o] + sum over i, j, c of  x_pad[n, p*SH + i, q*SW + j, c] * w[i, j, c, o]

    x          (N, H, W, CI)         x_pad is x with zeros around it
    w          (KH, KW, CI, CO)
    b          (CO,)
    y, gy      (N, OH, OW, CO)
    gx gw gb   the shapes of x, w and b

    stride     (SH, SW)
    padding    ((top, bottom), (left, right))

im2col, below, writes the patch under each window as a row of a matrix. Then the convolution is a product of
matrices, and you know its gradients from the exercise `linear`:

    cols  (N*OH*OW, KH*KW*CI)
    y     = cols @ w + b             with w read as (KH*KW*CI, CO) and y as (N*OH*OW, CO)

What is new is the way back from the gradient of cols to that of x: col2im. A pixel was copied into every
patch that contains it. Write col2im first.

docs/ops/conv2d.md has the derivation, if you are stuck.
When you think it is right:  minicnn exercise check conv2d
"""

import numpy as np

Pair = tuple[int, int]


def im2col(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: tuple[Pair, Pair], output_size: Pair
) -> np.ndarray:
    """Return the patches of x (N, H, W, CI) as the rows of a matrix (N*OH*OW, KH*KW*CI)."""
    (KH, KW), (SH, SW), (OH, OW) = kernel_size, stride, output_size
    x_pad = np.pad(x, ((0, 0), *padding, (0, 0)))
    N, _, _, CI = x.shape
    cols = np.zeros((N, OH, OW, KH, KW, CI), x.dtype)
    for i in range(KH):
        for j in range(KW):
            # The pixels that meet w[i, j]: one for each of the OH x OW places of the window.
            cols[:, :, :, i, j] = x_pad[:, i : i + SH * OH : SH, j : j + SW * OW : SW][:, :OH, :OW]
    return cols.reshape(N * OH * OW, KH * KW * CI)


def col2im(
    gcols: np.ndarray,
    x_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_size: Pair,
) -> np.ndarray:
    """Return gx (N, H, W, CI), given the gradient of cols: im2col backwards."""
    raise NotImplementedError("write col2im here")


def backward(
    gy: np.ndarray, x: np.ndarray, w: np.ndarray, stride: Pair, padding: tuple[Pair, Pair]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gx, gw, gb."""
    N, OH, OW, CO = gy.shape
    cols = im2col(x, w.shape[:2], stride, padding, (OH, OW))
    raise NotImplementedError("write the backward of the convolution here")
