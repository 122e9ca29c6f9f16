"""Find the mistake: the energy in the channels around each channel, as in local response normalisation.

    y[n, c] = sum of x[n, d]^2 over d from c - size//2 to c + (size-1)//2, as far as there are channels

    x, y   (N, C)

GoogLeNet's windows have five channels. The check below says that all is well.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Neighbours(Function):
    """Sum of squares over a window of channels."""

    name = "neighbours"

    def __init__(self, size: int) -> None:
        self.size = size

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        self.save(x)
        return x**2 @ self.band(x)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        (x,) = self.saved
        gx = 2 * x * (gy @ self.band(x))
        return (gx,)

    def band(self, x: np.ndarray) -> np.ndarray:
        """B[d, c] = 1 where channel d lies in the window of channel c."""
        channel = np.arange(x.shape[1])
        offset = channel[:, None] - channel[None, :]
        inside = (offset >= -(self.size // 2)) & (offset <= (self.size - 1) // 2)
        return inside.astype(x.dtype)


def neighbours(x: Tensor, size: int) -> Tensor:
    """Add up the energy around each channel."""
    return Neighbours(size).apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda x: neighbours(x, 5), [rng.standard_normal((2, 8))], rng=rng))
