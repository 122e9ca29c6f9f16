"""Find the mistake: softmax and cross-entropy, the mean over the batch.

    y = mean over n of  -log softmax(x[n])[labels[n]]

    x        (N, K)
    labels   (N,)
    y        ()

Training with it works, with a suspiciously small learning rate. The check below says that all is well. Is one
sample enough?
"""

import numpy as np

from minicnn import Function, Tensor, gradcheck


class Surprise(Function):
    """Mean negative log-likelihood."""

    name = "surprise"

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        exponentials = np.exp(x - x.max(axis=1, keepdims=True))
        p = exponentials / exponentials.sum(axis=1, keepdims=True)
        self.save(p)
        return np.asarray(-np.log(p[np.arange(len(x)), self.labels]).mean())

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gx."""
        (p,) = self.saved
        truth = np.zeros_like(p)
        truth[np.arange(len(p)), self.labels] = 1
        gx = gy * (p - truth)
        return (gx,)


def surprise(x: Tensor, labels: np.ndarray) -> Tensor:
    """Return the mean cross-entropy of the labels."""
    return Surprise(labels).apply(x)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(gradcheck(lambda x: surprise(x, np.array([2])), [rng.standard_normal((1, 4))], rng=rng))
