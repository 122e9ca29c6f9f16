"""Loss and accuracy of the main head and both auxiliary heads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from minicnn import functional as F
from minicnn.backend import Array, to_numpy
from minicnn.nn import GoogLeNetOutput, Module
from minicnn.parallel import pinned_blas
from minicnn.tensor import Tensor, no_grad

HEADS = ("main", "aux1", "aux2")


@dataclass
class Figures:
    """Running totals of one head, from which loss and accuracy follow.

    Examples
    --------
    >>> figures = Figures()
    >>> figures.add(np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]]), np.array([0, 1, 0]))
    >>> round(figures.accuracy, 3), round(figures.loss, 3)
    (0.667, 0.794)
    """

    images: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    top5_hits: int = 0

    def add(self, logits: Array, labels: Array) -> None:
        """Count one batch: logits of shape (N, K), labels of shape (N,)."""
        with no_grad():
            self.loss_sum += F.cross_entropy(Tensor(logits), labels, reduction="sum").item()
        best = np.argsort(-to_numpy(logits), axis=1, kind="stable")[:, :5]
        right = best == to_numpy(labels)[:, None]  # (N, 5)
        self.hits += int(right[:, 0].sum())
        self.top5_hits += int(right.sum())
        self.images += len(labels)

    def __sub__(self, earlier: Figures) -> Figures:
        """Return the figures of what was counted after `earlier`."""
        return Figures(
            self.images - earlier.images,
            self.loss_sum - earlier.loss_sum,
            self.hits - earlier.hits,
            self.top5_hits - earlier.top5_hits,
        )

    @property
    def loss(self) -> float:
        """Mean cross entropy."""
        return self.loss_sum / self.images

    @property
    def accuracy(self) -> float:
        """Share of images whose class had the highest logit."""
        return self.hits / self.images

    @property
    def top5(self) -> float:
        """Share of images whose class was among the five highest logits."""
        return self.top5_hits / self.images


def count_batch(figures: dict[str, Figures], out: GoogLeNetOutput, labels: Array) -> None:
    """Add a batch to the figures of every head that ran; heads are keyed as in `HEADS`."""
    for head, logits in zip(HEADS, out, strict=True):
        if logits is not None:
            figures.setdefault(head, Figures()).add(logits.data, labels)


def evaluate(model: Module, batches: Iterable[tuple[Array, Array]], heads: bool) -> dict[str, Figures]:
    """Measure a network in eval mode, without recording a graph.

    Parameters
    ----------
    model : Module
        Its mode is restored afterwards.
    batches : iterable of (images, labels)
    heads : bool
        Whether to measure the auxiliary heads too, which the network must have then.

    Returns
    -------
    dict of Figures
        By head: "main", and with `heads` also "aux1" and "aux2".
    """
    figures: dict[str, Figures] = {}
    was_training = model.training
    model.eval()
    try:
        with no_grad(), pinned_blas():
            for images, labels in batches:
                count_batch(figures, model(Tensor(images), heads=heads), labels)
    finally:
        model.train(was_training)
    return figures
