"""Find the mistake: the mean of each window.

    y[n, p, q, c] = 1 / K^2 * sum over i, j of  x[n, p*S + i, q*S + j, c]         K the kernel, S the stride

    x   (N, H, W, C)
    y   (N, OH, OW, C)      OH = (H - K) // S + 1, and OW likewise

The check below says that all is well. Which sizes would you try next?
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class WindowMean(Function):
    """Average pooling without padding."""

    name = "window_mean"

    def __init__(self, kernel: int, stride: int) -> None:
        self.kernel, self.stride = kernel, stride

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        self.shape = x.shape
        N, H, W, C = x.shape
        K, S = self.kernel, self.stride
        y = np.zeros((N, (H - K) // S + 1, (W - K) // S + 1, C), x.dtype)
        for p, q in np.ndindex(y.shape[1:3]):
            y[:, p, q] = x[:, p * S : p * S + K, q * S : q * S + K].mean(axis=(1, 2))
        return y

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        K, S = self.kernel, self.stride
        gx = np.zeros(self.shape, gy.dtype)
        for p, q in np.ndindex(gy.shape[1:3]):
            share = gy[:, p : p + 1, q : q + 1] / K**2
            gx[:, p * S : p * S + K, q * S : q * S + K] = share
        return (gx,)


def window_mean(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Take the mean of each window."""
    return WindowMean(kernel, stride).apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda x: window_mean(x, 2, 2), [rng.standard_normal((2, 4, 6, 3))], rng=rng))
