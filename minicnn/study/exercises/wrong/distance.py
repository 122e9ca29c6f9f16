"""Find the mistake, if there is one: how far a value is from zero.

    y = |x|

    x, y   any shape

The checker finds a gradient wrong, or a kink that is not declared: which of the two? Look at which
coordinate, and at what x is there. What would you have the derivative be? And what is it that an op with
kinks has to tell the checker? (docs/gradient-checking.md, "Kinks"; the conventions of this op: slope 1 where
x >= 0, else -1.)
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Distance(Function):
    """Absolute value."""

    name = "distance"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        self.save(x)
        return np.abs(x)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        (x,) = self.saved
        return (np.where(x >= 0, gy, -gy),)


def distance(x: Tensor) -> Tensor:
    """Return |x|."""
    return Distance().apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(distance, [np.array([1.5, 0.0, -0.5])], rng=rng))
