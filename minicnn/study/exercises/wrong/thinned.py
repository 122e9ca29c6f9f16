"""Find the mistake: dropout.

    y = x * mask / (1 - p)        mask is 0 with probability p, else 1

    x, y   any shape

The generator is made from the seed in each forward pass, so that the same input always gives the same
result: otherwise there would be nothing to check.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Thinned(Function):
    """Zero some values at random, and scale the others."""

    name = "thinned"

    def __init__(self, p: float, seed: int) -> None:
        self.p = p
        self.seed = seed

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        rng = np.random.default_rng(self.seed)
        mask = rng.random(x.shape) >= self.p
        self.rng = rng
        return x * mask / (1 - self.p)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        mask = self.rng.random(gy.shape) >= self.p
        return (gy * mask / (1 - self.p),)


def thinned(x: Tensor, p: float, seed: int) -> Tensor:
    """Drop each value with probability p."""
    return Thinned(p, seed).apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda x: thinned(x, 0.5, seed=1), [rng.standard_normal((3, 4))], rng=rng))
