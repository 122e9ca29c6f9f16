import numpy as np

from minicnn.study.exercises.templates.conv2d import im2col


def col2im(gcols, x_shape, kernel_size, stride, padding, output_size):
    (KH, KW), (SH, SW), (OH, OW) = kernel_size, stride, output_size
    (top, bottom), (left, right) = padding
    N, H, W, CI = x_shape
    gcols = gcols.reshape(N, OH, OW, KH, KW, CI)
    padded = np.zeros((N, top + H + bottom, left + W + right, CI), gcols.dtype)
    for p, q, i, j in np.ndindex(OH, OW, KH, KW):
        padded[:, p * SH + i, q * SW + j] += gcols[:, p, q, i, j]
    return padded[:, top : top + H, left : left + W]


def backward(gy, x, w, stride, padding):
    N, OH, OW, CO = gy.shape
    cols = im2col(x, w.shape[:2], stride, padding, (OH, OW))
    gy_rows = gy.reshape(-1, CO)
    gcols = gy_rows @ w.reshape(-1, CO).T
    gx = col2im(gcols, x.shape, w.shape[:2], stride, padding, (OH, OW))
    return gx, (cols.T @ gy_rows).reshape(w.shape), gy_rows.sum(axis=0)
