"""Loss and accuracy of the main head and both auxiliary heads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from minicnn import functional as F
from minicnn.backend import Array, array_module, to_numpy
from minicnn.nn import GoogLeNetOutput, Module, in_mode
from minicnn.parallel import on_device_of, pinned_blas
from minicnn.tensor import Tensor, no_grad
from minicnn.training.smaller_batches import SmallerBatches

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
        self.add_counts(len(labels), to_numpy(count(logits, labels)))

    def add_counts(self, images: int, counts: np.ndarray) -> None:
        """Count one batch by what `count` gave for it."""
        loss_sum, hits, top5_hits = counts.tolist()
        self.images += images
        self.loss_sum += loss_sum
        self.hits += int(hits)
        self.top5_hits += int(top5_hits)

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


def count(logits: Array, labels: Array) -> Array:
    """Return the loss, the hits and the top-5 hits of a batch, each summed over its images, as float64 (3,).

    On a GPU it stays there: reading the numbers means waiting for them.

    Parameters
    ----------
    logits : array of shape (N, K)
    labels : integer array of shape (N,)
    """
    with on_device_of(logits):
        return _count(logits, labels)


def _count(logits: Array, labels: Array) -> Array:
    xp = array_module(logits)
    with no_grad():
        loss_sum = F.cross_entropy(Tensor(logits), labels, reduction="sum").data
    labels = xp.asarray(labels)
    classes = xp.arange(logits.shape[1])
    own = logits[xp.arange(len(labels)), labels][:, None]  # (N, 1)
    # How many classes come before the right one. Among equals the order is that of their numbers.
    before = (logits > own) | ((logits == own) & (classes < labels[:, None]))  # (N, K)
    rank = before.sum(axis=1)
    return xp.stack([sums.astype(np.float64) for sums in (loss_sum, (rank == 0).sum(), (rank < 5).sum())])


def count_heads(out: GoogLeNetOutput, labels: Array) -> Array:
    """Return what `count` says of every head that ran, as (heads, 3)."""
    counts = [count(logits.data, labels) for logits in out if logits is not None]
    with on_device_of(counts[0]):
        return array_module(counts[0]).stack(counts)


def add_counts(figures: dict[str, Figures], images: int, counts: np.ndarray) -> None:
    """Add what `count_heads` gave for a batch to the figures of its heads, which are keyed as in `HEADS`."""
    for head, of_head in zip(HEADS, counts, strict=False):
        figures.setdefault(head, Figures()).add_counts(images, of_head)


def count_batch(figures: dict[str, Figures], out: GoogLeNetOutput, labels: Array) -> None:
    """Add a batch to the figures of every head that ran."""
    add_counts(figures, len(labels), to_numpy(count_heads(out, labels)))


def figures_of_heads(split: str, figures: dict[str, Figures]) -> dict[str, float | None]:
    """Give loss and accuracy of every head their names in metrics.jsonl; null for heads the network lacks."""
    row: dict[str, float | None] = {}
    for head in HEADS:
        name = split if head == "main" else f"{split}_{head}"
        row[f"{name}_loss"] = figures[head].loss if head in figures else None
        row[f"{name}_accuracy"] = figures[head].accuracy if head in figures else None
    return row


def evaluate(
    model: Module,
    batches: Iterable[tuple[Array, Array]],
    heads: bool,
    smaller: SmallerBatches | None = None,
) -> dict[str, Figures]:
    """Measure a network in eval mode, without recording a graph.

    Parameters
    ----------
    model : Module
        Its mode is restored afterwards.
    batches : iterable of (images, labels)
    heads : bool
        Whether to measure the auxiliary heads too, which the network must have then.
    smaller : SmallerBatches, optional
        How to cut batches for which a GPU has no room; one that has found a size keeps to it.

    Returns
    -------
    dict of Figures
        By head: "main", and with `heads` also "aux1" and "aux2".

    Raises
    ------
    DeviceMemoryError
        If a GPU has no room for a single image.
    """
    smaller = smaller or SmallerBatches()
    figures: dict[str, Figures] = {}
    with in_mode(model, training=False), no_grad(), pinned_blas():
        for images, labels in batches:

            def measure(
                part: slice, images: Array = images, labels: Array = labels
            ) -> tuple[int, np.ndarray]:
                out = model(Tensor(images[part]), heads=heads)
                return len(labels[part]), to_numpy(count_heads(out, labels[part]))

            for count_of_part, counts in smaller.run(measure, len(labels)):
                add_counts(figures, count_of_part, counts)
    return figures
