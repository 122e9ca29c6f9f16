"""Find the mistake: the largest value of each stretch of a line, in ceil mode.

    y[n, p] = max of x[n, p*S], ..., x[n, p*S + K - 1]              K the kernel, S the stride

    x   (N, T)
    y   (N, P)      P = ceil((T - K) / S) + 1: the last window may reach beyond the end

GoogLeNet's pools are 3/2 in ceil mode: 112 becomes 56, not 55. The check below says that all is well.
"""

import math

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Peaks(Function):
    """Max pooling in one dimension."""

    name = "peaks"

    def __init__(self, kernel: int, stride: int) -> None:
        self.kernel, self.stride = kernel, stride

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        K, S = self.kernel, self.stride
        P = math.ceil((x.shape[1] - K) / S) + 1
        winners = [p * S + x[:, p * S : p * S + K].argmax(axis=1) for p in range(P)]
        self.save(x, np.stack(winners, axis=1))
        return np.take_along_axis(x, self.saved[1], axis=1)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        x, winners = self.saved
        gx = np.zeros_like(x)
        for p in range((x.shape[1] - self.kernel) // self.stride + 1):
            gx[np.arange(len(x)), winners[:, p]] += gy[:, p]
        return (gx,)

    def branches(self) -> np.ndarray:
        """Return which value won."""
        return self.saved[1]


def peaks(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Take the largest value of each window."""
    return Peaks(kernel, stride).apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda x: peaks(x, 3, 2), [rng.standard_normal((2, 9))], rng=rng))
