import numpy as np


def backward(gy, x_shape, count, kernel_size, stride, padding):
    (KH, KW), (SH, SW), ((top, _), (left, _)) = kernel_size, stride, padding
    _, H, W, _ = x_shape
    gx = np.zeros(x_shape, gy.dtype)
    for p, q in np.ndindex(count.shape):
        rows = slice(max(p * SH - top, 0), min(p * SH - top + KH, H))
        columns = slice(max(q * SW - left, 0), min(q * SW - left + KW, W))
        gx[:, rows, columns] += gy[:, p : p + 1, q : q + 1] / count[p, q]
    return gx
