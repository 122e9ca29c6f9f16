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

from minicnn.backend import Array, array_module, device_of, is_array, to_device
from minicnn.cuda.launch import C_TYPES, launch
from minicnn.cuda.switch import uses_kernels
from minicnn.errors import DeviceError, DTypeError, ShapeError
from minicnn.ops.log_softmax import log_probabilities
from minicnn.tensor import Function, Tensor, check_tensor

Reduction = Literal["mean", "sum", "none"]

THREADS = 128  # for a sample, on a GPU


class CrossEntropy(Function):
    """Negative log-likelihood of the labels."""

    name = "cross_entropy"

    def __init__(self, labels: Array, reduction: Reduction) -> None:
        self.labels = labels
        self.reduction = reduction

    def forward(self, x: Array) -> Array:
        """Return the loss; saves the log-probabilities (on a GPU x and two numbers for each sample)."""
        xp = array_module(x)
        if uses_kernels(x):
            losses = self._forward_on_gpu(x)
            return losses if self.reduction == "none" else self._reduced(losses)
        log_p = log_probabilities(x, axis=1)
        self.save(log_p)
        losses = -log_p[xp.arange(len(x)), self.labels]
        return losses if self.reduction == "none" else self._reduced(losses)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        if len(self.saved) == 3:
            return (self._backward_on_gpu(gy),)
        (log_p,) = self.saved
        xp = array_module(log_p)
        gx = xp.exp(log_p)
        gx[xp.arange(len(gx)), self.labels] -= 1
        if self.reduction == "mean":
            gy = gy / log_p.dtype.type(len(gx))
        gx *= gy[:, None] if self.reduction == "none" else gy
        return (gx,)

    def _reduced(self, losses: Array) -> Array:
        return losses.mean(dtype=losses.dtype) if self.reduction == "mean" else losses.sum(dtype=losses.dtype)

    def _forward_on_gpu(self, x: Array) -> Array:
        xp = array_module(x)
        x = xp.ascontiguousarray(x)
        self.labels = self.labels.astype(np.int64, copy=False)
        losses, largest, log_sums = (xp.empty(len(x), x.dtype) for _ in range(3))
        launch(
            "cross_entropy.cu", f"cross_entropy_forward<{C_TYPES[x.dtype]}>", (len(x),), (THREADS,),
            x, xp.ascontiguousarray(self.labels), losses, largest, log_sums, x.shape[1],
        )  # fmt: skip
        self.save(x, largest, log_sums)
        return losses

    def _backward_on_gpu(self, gy: Array) -> Array:
        x, largest, log_sums = self.saved
        xp = array_module(x)
        gx = xp.empty_like(x)
        factor = x.dtype.type(1 / len(x) if self.reduction == "mean" else 1)
        launch(
            "cross_entropy.cu", f"cross_entropy_backward<{C_TYPES[x.dtype]}>", (len(x),), (THREADS,),
            x, xp.ascontiguousarray(self.labels), largest, log_sums, xp.ascontiguousarray(gy), gx,
            x.shape[1], int(self.reduction == "none"), factor,
        )  # fmt: skip
        return gx


def cross_entropy(logits: Tensor, labels: Array, reduction: Reduction = "mean") -> Tensor:
    """Measure how surprised the network is by the labels.

    Parameters
    ----------
    logits : Tensor of shape (N, K)
        Scores of N samples for K classes, float32 or float64.
    labels : array of shape (N,)
        Classes as integers from 0 to K - 1. Labels that lie on a GPU are not looked at, since that would mean
        to wait for it: the loss of a sample whose label is no class is NaN.
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
    if isinstance(labels, np.ndarray) or not uses_kernels(logits.data):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= K:
            raise ShapeError(
                f"cross_entropy: labels: expected classes from 0 to {K - 1}, got values from {low} to {high}"
            )
    if not isinstance(labels, np.ndarray) and device_of(labels) != logits.device:
        raise DeviceError(
            f"cross_entropy: expected tensors on one device, got {logits.device} and {device_of(labels)}; "
            "use .to(device)"
        )
    return labels if device_of(labels) == logits.device else to_device(labels, logits.device)
