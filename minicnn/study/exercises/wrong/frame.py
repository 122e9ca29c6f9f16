"""Find the mistake: zeros around an image, as before a convolution.

    y[n, h + top, w + left, c] = x[n, h, w, c],  and 0 elsewhere

    x   (N, H, W, C)
    y   (N, top + H + bottom, left + W + right, C)

TensorFlow's "SAME" pads more at the bottom and right than at the top and left. The check below pads alike on
all sides, and says that all is well.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck

Pair = tuple[int, int]


class Frame(Function):
    """Zero padding."""

    name = "frame"

    def __init__(self, vertical: Pair, horizontal: Pair) -> None:
        self.vertical, self.horizontal = vertical, horizontal

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        return np.pad(x, ((0, 0), self.vertical, self.horizontal, (0, 0)))

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        (top, bottom), (left, right) = self.vertical, self.horizontal
        PH, PW = gy.shape[1:3]
        return (gy[:, top : PH - bottom, right : PW - left],)


def frame(x: Tensor, vertical: Pair, horizontal: Pair) -> Tensor:
    """Pad with zeros: vertical is (top, bottom), horizontal is (left, right)."""
    return Frame(vertical, horizontal).apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda x: frame(x, (1, 1), (1, 1)), [rng.standard_normal((2, 3, 3, 1))], rng=rng))
