"""Find the mistake: y = x + relu(x), with a ReLU that saves memory.

    y = x + gate(x),    gate(x) = max(x, 0)

    x, y   any shape

The values that the ReLU's backward returns are right. Still the gradient of x is wrong. Somebody else is
harmed.
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Gate(Function):
    """ReLU."""

    name = "gate"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        self.save(x > 0)
        return np.maximum(x, 0)

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        (on,) = self.saved
        gy *= on
        return (gy,)

    def branches(self) -> np.ndarray:
        """Tell which units are on."""
        return self.saved[0]


def gate(x: Tensor) -> Tensor:
    """Add the positive part once more."""
    return x + Gate().apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(gate, [rng.standard_normal((2, 5))], rng=rng))
