"""Find the mistake: the smallest inception module, two branches side by side, as one op.

    y = [x @ w1, x @ w2]           side by side along the channels

    x        (N, C)
    w1, w2   (C, C1), (C, C2)
    y        (N, C1 + C2)

Run the check: which of the three gradients is wrong?
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class TwoBranches(Function):
    """Two products side by side."""

    name = "two_branches"

    def forward(self, x: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
        """Return y."""
        self.save(x, w1, w2)
        return np.concatenate([x @ w1, x @ w2], axis=1)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return gx, gw1 and gw2."""
        x, w1, w2 = self.saved
        C1 = w1.shape[1]
        gw = []
        for w, g in ((w1, gy[:, :C1]), (w2, gy[:, C1:])):
            gx = g @ w.T
            gw.append(x.T @ g)
        return (gx, *gw)


def two_branches(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """Look at x with two banks of filters."""
    return TwoBranches().apply(x, w1, w2)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    shapes = (2, 3), (3, 2), (3, 4)
    print(gradcheck(two_branches, [rng.standard_normal(shape) for shape in shapes], rng=rng))
