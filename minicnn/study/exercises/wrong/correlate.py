"""Find the mistake: one filter that slides over grey images.

    y[n, p, q] = sum over i, j of  x[n, p*S + i, q*S + j] * w[i, j]                 S the stride

    x   (N, H, W)
    w   (KH, KW)
    y   (N, OH, OW)      OH = (H - KH) // S + 1, and OW likewise

The check below says that all is well.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Correlate(Function):
    """Convolution with one channel and one filter."""

    name = "correlate"

    def __init__(self, stride: int) -> None:
        self.stride = stride

    def forward(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return y."""
        self.save(x, w)
        (N, H, W), (KH, KW), S = x.shape, w.shape, self.stride
        y = np.zeros((N, (H - KH) // S + 1, (W - KW) // S + 1), x.dtype)
        for p, q in np.ndindex(y.shape[1:]):
            y[:, p, q] = (x[:, p * S : p * S + KH, q * S : q * S + KW] * w).sum(axis=(1, 2))
        return y

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gx and gw."""
        x, w = self.saved
        (OH, OW), (KH, KW), S = gy.shape[1:], w.shape, self.stride
        gx, gw = np.zeros_like(x), np.zeros_like(w)
        for i in range(KH):
            for j in range(KH):
                taps = slice(None), slice(i, i + S * OH, S), slice(j, j + S * OW, S)
                if j < KW:
                    gw[i, j] = (x[taps][:, :OH, :OW] * gy).sum()
                    gx[taps] += gy * w[i, j]
        return gx, gw


def correlate(x: Tensor, w: Tensor, stride: int = 1) -> Tensor:
    """Slide the filter w over the images x."""
    return Correlate(stride).apply(x, w)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(correlate, [rng.standard_normal((2, 5, 5)), rng.standard_normal((3, 3))], rng=rng))
