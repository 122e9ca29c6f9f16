"""Cases of what works across channels or classes: LRN, softmax, log_softmax, cross_entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, zeros
from minicnn.ops.cross_entropy import CrossEntropy
from minicnn.ops.log_softmax import LogSoftmax
from minicnn.ops.lrn import LocalResponseNorm
from minicnn.ops.softmax import Softmax


def local_response_norm_reference(
    x: np.ndarray, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """Add up the squares in the window of each channel, and divide by a power of that."""
    y = np.zeros(x.shape, x.dtype)
    for *place, c in np.ndindex(x.shape):
        energy = 0
        for d in range(c - size // 2, c + (size - 1) // 2 + 1):
            if 0 <= d < x.shape[-1]:
                energy += x[(*place, d)] ** 2
        y[(*place, c)] = x[(*place, c)] / (k + alpha / size * energy) ** beta
    return y


def log_softmax_reference(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Subtract from each score the logarithm of the sum of all exponentials along the axis."""
    axis %= x.ndim
    y = np.zeros(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        scores = [x[(*index[:axis], j, *index[axis + 1 :])] for j in range(x.shape[axis])]
        largest = max(score.real for score in scores)
        total = 0
        for score in scores:
            total += np.exp(score - largest)
        y[index] = x[index] - largest - np.log(total)
    return y


def softmax_reference(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Take the exponentials of log_softmax."""
    log_probabilities = log_softmax_reference(x, axis)
    y = np.zeros(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        y[index] = np.exp(log_probabilities[index])
    return y


def cross_entropy_reference(x: np.ndarray, labels: Any, reduction: str = "mean") -> np.ndarray:
    """Look up, for each sample, the logarithm of the probability of its label."""
    log_probabilities = log_softmax_reference(x)
    losses = np.zeros(len(x), x.dtype)
    for n, label in enumerate(labels):
        losses[n] = -log_probabilities[n, label]
    if reduction == "none":
        return losses
    total = np.zeros((), x.dtype)
    for loss in losses:
        total += loss
    return total / len(losses) if reduction == "mean" else total


def _lrn_samples(rng: np.random.Generator) -> list[Sample]:
    # With alpha about 1 the sum over the window counts as much as k; the usual 1e-4 would hide any error.
    return [
        Sample("as in GoogLeNet but for alpha", (rng.standard_normal((3, 2, 1, 7)),), {"alpha": 1.0}),
        Sample("GoogLeNet's own settings", (10 * rng.standard_normal((2, 2, 2, 6)),)),
        Sample(
            "even size",
            (rng.standard_normal((3, 1, 2, 6)),),
            {"size": 4, "alpha": 1.5, "beta": 0.6, "k": 2.0},
        ),
        Sample("size 2", (rng.standard_normal((2, 1, 1, 5)),), {"size": 2, "alpha": 2.0}),
        Sample("one channel at a time", (rng.standard_normal((2, 1, 1, 4)),), {"size": 1, "alpha": 0.8}),
        Sample("window beyond the channels", (rng.standard_normal((2, 3, 2, 3)),), {"size": 9, "alpha": 3.0}),
        Sample("one channel", (rng.standard_normal((2, 2, 2, 1)),), {"alpha": 1.0, "beta": 1.0, "k": 0.5}),
        Sample("vectors", (rng.standard_normal((4, 5)),), {"size": 3, "alpha": 1.0, "beta": 2.0}),
    ]


def _softmax_samples(rng: np.random.Generator) -> list[Sample]:
    x = rng.standard_normal((3, 4))
    return [
        Sample("classes last", (x,)),
        Sample("another axis", (rng.standard_normal((2, 3, 2)),), {"axis": 1}),
        Sample("first axis, from the end", (rng.standard_normal((3, 2)),), {"axis": -2}),
        Sample("one class", (rng.standard_normal((3, 1)),)),
        Sample("a vector", (rng.standard_normal(5),), {"axis": 0}),
        Sample("scores of 1e4", (x + np.array([1e4, -1e4, 0.0])[:, None],)),
        Sample("far apart", (np.array([[0.0, 700.0, -700.0], [1.0, 0.0, -1.0]]),)),
    ]


def _cross_entropy_samples(rng: np.random.Generator) -> list[Sample]:
    x = rng.standard_normal((4, 3))
    labels = np.array([2, 0, 1, 2])
    return [
        Sample("mean", (x,), {"labels": labels}),
        Sample("sum", (x,), {"labels": labels.astype(np.uint8), "reduction": "sum"}),
        Sample("none", (x,), {"labels": labels.tolist(), "reduction": "none"}),
        Sample("one sample", (x[:1],), {"labels": labels[:1].astype(np.int32)}),
        Sample("one class", (x[:, :1],), {"labels": np.zeros(4, np.int64)}),
        Sample(
            "logits of 1e4, right and wrong",
            (np.array([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]]),),
            {"labels": np.array([0, 2]), "reduction": "none"},
        ),
    ]


def _axis_errors(name: str, function: Any) -> tuple[ErrorCase, ...]:
    return (
        ErrorCase(
            "no such axis",
            lambda: function(zeros(2, 3), axis=2),
            rf"^{name}: axis: expected an axis of shape \(2, 3\), got 2$",
        ),
        ErrorCase(
            "no axes",
            lambda: function(zeros()),
            rf"^{name}: axis: expected an axis of shape \(\), got -1$",
        ),
        ErrorCase(
            "fractional axis",
            lambda: function(zeros(2, 3), axis=0.5),
            rf"^{name}: axis: expected a whole number, got 0\.5$",
        ),
        ErrorCase(
            "no classes",
            lambda: function(zeros(2, 0)),
            rf"^{name}: x: expected at least one element along axis -1, got shape \(2, 0\)$",
        ),
        ErrorCase(
            "integers",
            lambda: function(zeros(2, 3, dtype=np.int64)),
            rf"^{name}: expected floating-point numbers, got int64",
        ),
    )


_LRN_ERRORS = (
    ErrorCase(
        "no channels",
        lambda: F.local_response_norm(zeros(5)),
        r"^local_response_norm: x: expected \(N, \.\.\., C\) with every size at least 1, got \(5,\)$",
    ),
    ErrorCase(
        "empty batch",
        lambda: F.local_response_norm(zeros(0, 2, 2, 5)),
        r"^local_response_norm: x: expected .* got \(0, 2, 2, 5\)$",
    ),
    ErrorCase(
        "size of zero",
        lambda: F.local_response_norm(zeros(2, 5), size=0),
        r"^local_response_norm: size: expected at least 1, got 0$",
    ),
    ErrorCase(
        "fractional size",
        lambda: F.local_response_norm(zeros(2, 5), size=2.5),  # type: ignore[arg-type]
        r"^local_response_norm: size: expected a whole number, got 2\.5$",
    ),
    ErrorCase(
        "integers",
        lambda: F.local_response_norm(zeros(2, 5, dtype=np.int64)),
        r"^local_response_norm: expected floating-point numbers, got int64",
    ),
)

_CROSS_ENTROPY_ERRORS = (
    ErrorCase(
        "label too high",
        lambda: F.cross_entropy(zeros(2, 3), np.array([0, 3])),
        r"^cross_entropy: labels: expected classes from 0 to 2, got values from 0 to 3$",
    ),
    ErrorCase(
        "label negative",
        lambda: F.cross_entropy(zeros(2, 3), np.array([-1, 2])),
        r"^cross_entropy: labels: expected classes from 0 to 2, got values from -1 to 2$",
    ),
    ErrorCase(
        "one label too few",
        lambda: F.cross_entropy(zeros(3, 4), np.array([0, 1])),
        r"^cross_entropy: labels: expected shape \(3,\) for 3 samples, got \(2,\)$",
    ),
    ErrorCase(
        "labels one-hot",
        lambda: F.cross_entropy(zeros(3, 4), np.zeros((3, 4), np.int64)),
        r"^cross_entropy: labels: expected shape \(3,\) for 3 samples, got \(3, 4\)$",
    ),
    ErrorCase(
        "labels with fractions",
        lambda: F.cross_entropy(zeros(2, 3), np.array([0.0, 1.0])),
        r"^cross_entropy: labels: expected integer classes, got dtype float64$",
    ),
    ErrorCase(
        "logits without classes",
        lambda: F.cross_entropy(zeros(2), np.array([0, 1])),
        r"^cross_entropy: logits: expected shape \(N, classes\), got shape \(2,\)$",
    ),
    ErrorCase(
        "empty batch",
        lambda: F.cross_entropy(zeros(0, 3), np.zeros(0, np.int64)),
        r"^cross_entropy: logits: expected shape \(N, classes\), got an empty batch: \(0, 3\)$",
    ),
    ErrorCase(
        "unknown reduction",
        lambda: F.cross_entropy(zeros(2, 3), np.array([0, 1]), "average"),  # type: ignore[arg-type]
        r"^cross_entropy: reduction: expected \"mean\", \"sum\" or \"none\", got 'average'$",
    ),
    ErrorCase(
        "integer logits",
        lambda: F.cross_entropy(zeros(2, 3, dtype=np.int64), np.array([0, 1])),
        r"^cross_entropy: expected floating-point numbers, got int64",
    ),
)


CASES = (
    OpCase(
        "local_response_norm",
        F.local_response_norm,
        local_response_norm_reference,
        _lrn_samples,
        (LocalResponseNorm,),
        _LRN_ERRORS,
    ),
    OpCase(
        "softmax",
        F.softmax,
        softmax_reference,
        _softmax_samples,
        (Softmax,),
        _axis_errors("softmax", F.softmax),
    ),
    OpCase(
        "log_softmax",
        F.log_softmax,
        log_softmax_reference,
        _softmax_samples,
        (LogSoftmax,),
        _axis_errors("log_softmax", F.log_softmax),
    ),
    OpCase(
        "cross_entropy",
        F.cross_entropy,
        cross_entropy_reference,
        _cross_entropy_samples,
        (CrossEntropy,),
        _CROSS_ENTROPY_ERRORS,
    ),
)
