"""Find the mistake: enlarge a line twice by repeating values, then take the larger of each two neighbours.

    z = x[0] x[0] x[1] x[1] ...
    y[t] = max(z[2t], z[2t + 1])          so y = x, whatever x is, and gx = gy

    x, y   (N, T)
    z      (N, 2T)

Each op below has been checked by itself on random numbers, in which no two values are equal.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Repeat(Function):
    """Every value twice."""

    name = "repeat"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return z."""
        return np.repeat(x, 2, axis=1)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        return (gy[:, ::2] + gy[:, 1::2],)


class Larger(Function):
    """The larger of two neighbours."""

    name = "larger"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        pairs = x.reshape(len(x), -1, 2)
        y = pairs.max(axis=2)
        self.save(pairs, y)
        return y

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        pairs, y = self.saved
        won = pairs == y[:, :, None]
        return ((gy[:, :, None] * won).reshape(len(gy), -1),)

    def branches(self) -> np.ndarray:
        """Return which of the two won: the first, if they are equal."""
        return self.saved[0].argmax(axis=2)


def zoom(x: Tensor) -> Tensor:
    """Enlarge, and shrink again."""
    return Larger().apply(Repeat().apply(x))


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda z: Larger().apply(z), [rng.standard_normal((2, 6))], rng=rng))
