"""Find the mistake: a moving average along a line, over the values that there are.

    y[n, t] = mean of x[n, s] over all s from t - R to t + R that exist           R the reach

    x, y   (N, T)

At the ends of the line a window holds fewer values. Run the check, and look at where it is wrong.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class ClippedMean(Function):
    """Moving average; windows are clipped at both ends."""

    name = "clipped_mean"

    def __init__(self, reach: int) -> None:
        self.reach = reach

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        R = self.reach
        return np.stack([x[:, max(t - R, 0) : t + R + 1].mean(axis=1) for t in range(x.shape[1])], axis=1)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        R = self.reach
        gx = np.zeros_like(gy)
        for t in range(gy.shape[1]):
            gx[:, max(t - R, 0) : t + R + 1] += gy[:, t : t + 1] / (2 * R + 1)
        return (gx,)


def clipped_mean(x: Tensor, reach: int) -> Tensor:
    """Average over the values at most `reach` away."""
    return ClippedMean(reach).apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda x: clipped_mean(x, 1), [rng.standard_normal((1, 8))], rng=rng))
