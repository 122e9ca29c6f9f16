import numpy as np


def backward(gy, x, kernel_size, stride, padding):
    (KH, KW), (SH, SW), ((top, _), (left, _)) = kernel_size, stride, padding
    _, H, W, _ = x.shape
    gx = np.zeros_like(x)
    for n, p, q, c in np.ndindex(gy.shape):
        first_row, first_column = max(p * SH - top, 0), max(q * SW - left, 0)
        last_row, last_column = min(p * SH - top + KH, H), min(q * SW - left + KW, W)
        patch = x[n, first_row:last_row, first_column:last_column, c]
        i, j = np.unravel_index(patch.argmax(), patch.shape)
        gx[n, first_row + i, first_column + j, c] += gy[n, p, q, c]
    return gx
