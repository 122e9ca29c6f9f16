"""Find the mistake: a gain for each sample times a gain for each channel.

    y[n, k] = a[n, 0] * b[k]

    a   (N, 1)
    b   (K,)
    y   (N, K)

The checks of whoever wrote this took gy = 1 everywhere, and found nothing. minicnn.gradcheck draws gy
at random.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Outer(Function):
    """Outer product, by broadcasting."""

    name = "outer"

    def forward(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return y."""
        self.save(a, b)
        return a * b

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ga and gb."""
        a, b = self.saved
        ga = gy.sum(axis=1, keepdims=True) * b.mean()
        gb = (gy * a).sum(axis=0)
        return ga, gb


def outer(a: Tensor, b: Tensor) -> Tensor:
    """Multiply every gain of a with every gain of b."""
    return Outer().apply(a, b)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(outer, [rng.standard_normal((3, 1)), rng.standard_normal(4)], rng=rng))
