"""Cross-entropy of integer labels, fused with softmax.

    y_n  = -log p[n, label_n]                 p = softmax of the logits along the classes
    loss = mean or sum of y, or y itself

    gx   = (p - onehot(label)) * gy_n         gy_n = gy / N for the mean, gy for the sum

    x      (N, K)                 logits of N samples for K classes
    label  (N,)                   integers from 0 to K - 1
    loss   () or (N,)

Softmax and logarithm cancel: the gradient of the logits is just what the network says minus what is true,
and neither 0 * log(0) nor exp of a large number ever occurs.

Derivation: docs/ops/cross_entropy.md.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from minicnn.backend import Array, array_module, is_array
from minicnn.errors import DTypeError, ShapeError
from minicnn.ops.log_softmax import log_probabilities
from minicnn.tensor import Function, Tensor, check_tensor

Reduction = Literal["mean", "sum", "none"]


class CrossEntropy(Function):
    """Negative log-likelihood of the labels."""

    name = "cross_entropy"

    def __init__(self, labels: Array, reduction: Reduction) -> None:
        self.labels = labels
        self.reduction = reduction

    def forward(self, x: Array) -> Array:
        """Return the loss; saves the log-probabilities."""
        xp = array_module(x)
        log_p = log_probabilities(x, axis=1)
        self.save(log_p)
        losses = -log_p[xp.arange(len(x)), self.labels]
        if self.reduction == "none":
            return losses
        return losses.mean(dtype=x.dtype) if self.reduction == "mean" else losses.sum(dtype=x.dtype)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        (log_p,) = self.saved
        xp = array_module(log_p)
        gx = xp.exp(log_p)
        gx[xp.arange(len(gx)), self.labels] -= 1
        if self.reduction == "mean":
            gy = gy / log_p.dtype.type(len(gx))
        gx *= gy[:, None] if self.reduction == "none" else gy
        return (gx,)


def cross_entropy(logits: Tensor, labels: Array, reduction: Reduction = "mean") -> Tensor:
    """Measure how surprised the network is by the labels.

    Parameters
    ----------
    logits : Tensor of shape (N, K)
        Scores of N samples for K classes, float32 or float64.
    labels : array of shape (N,)
        Classes as integers from 0 to K - 1.
    reduction : "mean", "sum" or "none", default="mean"
        Over the samples.

    Returns
    -------
    Tensor of shape () or (N,)
        In nats; log(K) for a network that knows nothing.

    Raises
    ------
    ShapeError
        If the shapes do not fit, the batch is empty, or a label is no class.
    DTypeError
        If the labels are no integers.

    Examples
    --------
    >>> import numpy as np
    >>> cross_entropy(Tensor([[0.0, 0.0], [1e4, 0.0]]), np.array([0, 1]), reduction="none").data
    array([6.931472e-01, 1.000000e+04], dtype=float32)
    """
    check_tensor("cross_entropy", "logits", logits)
    if logits.ndim != 2 or 0 in logits.shape:
        what = "an empty batch: " if logits.ndim == 2 and logits.shape[0] == 0 else "shape "
        raise ShapeError(f"cross_entropy: logits: expected shape (N, classes), got {what}{logits.shape}")
    if reduction not in ("mean", "sum", "none"):
        raise ShapeError(f'cross_entropy: reduction: expected "mean", "sum" or "none", got {reduction!r}')
    return CrossEntropy(check_labels(logits, labels), reduction).apply(logits)


def check_labels(logits: Tensor, labels: Array) -> Array:
    """Return the labels as an array on the device of the logits, or raise what is wrong with them."""
    N, K = logits.shape
    if isinstance(labels, Tensor):
        labels = labels.data
    if not is_array(labels):
        labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: labels: expected integer classes, got dtype {labels.dtype}")
    if labels.shape != (N,):
        raise ShapeError(
            f"cross_entropy: labels: expected shape ({N},) for {N} samples, got {tuple(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= K:
        raise ShapeError(
            f"cross_entropy: labels: expected classes from 0 to {K - 1}, got values from {low} to {high}"
        )
    return array_module(logits.data).asarray(labels)
