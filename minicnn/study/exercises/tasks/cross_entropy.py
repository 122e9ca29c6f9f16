"""Softmax with cross-entropy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.op_cases import CASES, Sample
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict, Trial


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of (N, K) along the classes."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def loss_gradient(counted: Callable[[Sample], bool], target: float = 1.0, per_class: bool = False) -> Predict:
    """Predict gx if it is divided by N where `counted(sample)`, and `target` is subtracted at the label."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        sample = trial.sample
        gx = probabilities(sample.inputs[0])
        N, K = gx.shape
        gx[np.arange(N), np.asarray(sample.settings["labels"])] -= target
        divisor = (N if counted(sample) else 1) * (K if per_class else 1)
        return gx * np.broadcast_to(trial.gy, N)[:, None] / divisor

    return predict


def is_mean(sample: Sample) -> bool:
    """Whether the sample's loss is the mean over the batch."""
    return sample.settings.get("reduction", "mean") == "mean"


EXERCISE = Exercise(
    "cross-entropy", "softmax with cross-entropy: what the network says minus what is true", 1,
    CASES["cross_entropy"],
    ("p", "labels", "reduction"),
    lambda inputs, settings, y: (
        probabilities(inputs[0]), np.asarray(settings["labels"]), settings.get("reduction", "mean")
    ),
    ("gx",),
    "minicnn/ops/cross_entropy.py", "docs/ops/cross_entropy.md",
    (
        Mistake(
            "wrong scale", "N times too large where the loss is a mean: the mean over the batch is missing",
            'reduction == "mean" divides the loss by N, and so the gradient, too',
            loss_gradient(lambda sample: False),
        ),
        Mistake(
            "wrong scale", "N times too small where the loss is no mean: you divide by N always",
            'only reduction == "mean" divides by N; "sum" and "none" do not',
            loss_gradient(lambda sample: True),
        ),
        Mistake(
            "wrong scale", "K times too small: the mean is over the samples, not over the classes too",
            "divide by the number of samples; gx.mean() or gx.size counts the classes as well",
            loss_gradient(is_mean, per_class=True),
        ),
        Mistake(
            "the label is missing",
            "your gx is that of log(sum(exp(x))) alone: 1 is not subtracted at the label",
            "gx is p minus the one-hot vector of the label",
            loss_gradient(is_mean, target=0.0),
        ),
    ),
    {
        "the batch has more than one sample": lambda sample: len(sample.inputs[0]) > 1,
        'the reduction is "mean"': is_mean,
        'the reduction is "sum"': lambda sample: sample.settings.get("reduction") == "sum",
        'the reduction is "none"': lambda sample: sample.settings.get("reduction") == "none",
    },
    {"gx": "nk"},
)  # fmt: skip
