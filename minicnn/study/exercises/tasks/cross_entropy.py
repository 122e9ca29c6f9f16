"""Softmax with cross-entropy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from functools import partial

import numpy as np

from minicnn.op_cases import CASES, Sample
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict, Trial

REDUCTIONS = ("mean", "sum", "none")
Logits = Callable[[np.ndarray, np.ndarray], np.ndarray]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of (N, K) along the classes."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def reduction_of(sample: Sample) -> str:
    """How the losses of the samples become y."""
    return str(sample.settings.get("reduction", "mean"))


def said_and_true(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network says and what is true: probabilities, and 1 at each label, both (N, K)."""
    p = probabilities(trial.sample.inputs[0])
    return p, np.eye(p.shape[1])[np.asarray(trial.sample.settings["labels"])]


def of_each_sample(trial: Trial) -> np.ndarray:
    """Gradient of y as one for each sample: (N, 1), all equal if y is a single number."""
    return np.broadcast_to(trial.gy, len(trial.sample.inputs[0]))[:, None]


def divisor(sample: Sample) -> int:
    """How many samples the mean is of; 1 if it is none."""
    return len(sample.inputs[0]) if reduction_of(sample) == "mean" else 1


def logits_gradient(formula: Logits) -> Predict:
    """Predict gx if the gradient of a single loss is `formula(p, one_hot)` instead of p - one_hot."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        p, one_hot = said_and_true(trial)
        with np.errstate(divide="ignore", invalid="ignore"):  # a p of 0 exists
            return formula(p, one_hot) * of_each_sample(trial) / divisor(trial.sample)

    return predict


def scaled(factor: Callable[[str, int, int], float]) -> Predict:
    """Predict gx if it is divided by `factor(reduction, N, K)`."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        right = trial.right[name] * divisor(trial.sample)
        return np.asarray(right / factor(reduction_of(trial.sample), *right.shape))

    return predict


def without_gy_and_mean(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if both gy and the division by N are forgotten."""
    return trial.own(name, gy=np.ones_like(trial.gy)) * divisor(trial.sample)


def without_gy_always_mean(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if gy is forgotten, and all reductions are divided by N."""
    return without_gy_and_mean(trial, name) / len(trial.sample.inputs[0])


def without_gy(forgetful: Collection[str]) -> Predict:
    """Predict gx if these reductions take gy for 1."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        forgotten = reduction_of(trial.sample) in forgetful
        return trial.own(name, gy=np.ones_like(trial.gy)) if forgotten else trial.right[name]

    return predict


def whole_columns(p: np.ndarray, one_hot: np.ndarray) -> np.ndarray:
    """Subtract 1 in the columns of all labels, as p[:, labels] -= 1 does."""
    return p - one_hot.max(axis=0)


def class_numbers(p: np.ndarray, one_hot: np.ndarray) -> np.ndarray:
    """Subtract the number of the class, as p - labels[:, None] does."""
    return p - one_hot.argmax(axis=1)[:, None]


def label_is_late(trial: Trial, name: str, lacks: Callable[[Trial], np.ndarray | float]) -> np.ndarray:
    """Predict gx if 1 is subtracted at the label after p was multiplied by `lacks(trial)`."""
    p, one_hot = said_and_true(trial)
    everything = of_each_sample(trial) / divisor(trial.sample)
    return np.asarray((p - one_hot / lacks(trial)) * everything)


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
            scaled(lambda reduction, N, K: 1),
        ),
        Mistake(
            "wrong scale", "N times too small where the loss is no mean: you divide by N always",
            'only reduction == "mean" divides by N; "sum" and "none" do not',
            scaled(lambda reduction, N, K: N),
        ),
        Mistake(
            "wrong scale", "K times too small: the mean is over the samples, not over the classes too",
            "divide by the number of samples; gx.mean() or gx.size counts the classes as well",
            scaled(lambda reduction, N, K: N * K if reduction == "mean" else K),
        ),
        Mistake(
            "wrong scale", "K times too small where the loss is a mean: you divide by p.size, which is N * K",
            "the mean is over the N samples: len(p), or p.shape[0]",
            scaled(lambda reduction, N, K: N * K if reduction == "mean" else 1),
        ),
        Mistake(
            "wrong scale", "you divide by p.size, N * K, always: only a mean is divided, and by N",
            'divide by len(p), and only where reduction == "mean"',
            scaled(lambda reduction, N, K: N * K),
        ),
        Mistake(
            "wrong scale", "where the loss is a mean you divide by K, the classes, instead of N, the samples",
            "p is (N, K): len(p), or p.shape[0]",
            scaled(lambda reduction, N, K: K if reduction == "mean" else 1),
        ),
        *(
            Mistake(
                "gy is missing",
                f"gy has no part in gx where the reduction is {' or '.join(forgetful)}",
                "gy is dL/dy: 1 only if y is the loss itself. Multiply by it, whatever the reduction is",
                without_gy(forgetful),
            )
            for some in (1, 2)
            for forgetful in itertools.combinations(REDUCTIONS, some)
        ),
        Mistake(
            "two mistakes", "gx is p minus one-hot alone: gy is missing and, where the loss is a mean, 1/N",
            'multiply by gy, whatever the reduction is; and divide by N where reduction == "mean"',
            without_gy_and_mean,
        ),
        Mistake(
            "two mistakes", "gy has no part in gx, and you divide by N always",
            'multiply by gy, whatever the reduction is; only reduction == "mean" divides by N',
            without_gy_always_mean,
        ),
        Mistake(
            "the label is missing",
            "your gx is that of log(sum(exp(x))) alone: 1 is not subtracted at the label",
            "gx is p minus the one-hot vector of the label",
            logits_gradient(lambda p, one_hot: p),
        ),
        Mistake(
            "wrong sign", "1 is added at the label; it has to be subtracted",
            "l = -x[label] + log(sum(exp(x))): the derivative of the first part is -1",
            logits_gradient(lambda p, one_hot: p + one_hot),
        ),
        Mistake(
            "whole columns", "1 is subtracted in the column of every label, for all samples at once",
            "one element of each row: gx[np.arange(N), labels], not gx[:, labels]",
            logits_gradient(whole_columns),
        ),
        Mistake(
            "class number instead of one-hot", "you subtract the number of the class from a whole row",
            "subtract 1 at the place of the label: gx[np.arange(N), labels] -= 1",
            logits_gradient(class_numbers),
        ),
        Mistake(
            "the softmax is missing", "your gx is -1 / p at the label: the gradient of p, not that of x",
            "p depends on every x of the row, so go on through the softmax; together it becomes p - one-hot",
            logits_gradient(lambda p, one_hot: -np.where(one_hot > 0, 1 / p, 0)),
        ),
        Mistake(
            "only the label", "your gx is right at the label and 0 elsewhere: the other logits lower p, too",
            "every x[n, j] stands in the sum of the softmax: gx[n, j] = p[n, j] there",
            logits_gradient(lambda p, one_hot: (p - 1) * one_hot),
        ),
        Mistake(
            "only the label", "your gx is -1 at the label and 0 elsewhere: log(sum(exp(x))) is left out",
            "its derivative is p: gx is p minus the one-hot vector of the label",
            logits_gradient(lambda p, one_hot: -one_hot),
        ),
        Mistake(
            "only the diagonal", "your gx is p * (1 - p), the diagonal of the softmax's Jacobian",
            "l = -x[label] + log(sum(exp(x))): take the derivative of that",
            logits_gradient(lambda p, one_hot: p * (1 - p)),
        ),
        Mistake(
            "wrong order", "1 is subtracted after the division by N, so that it is not divided",
            "the whole difference p minus one-hot is divided by N",
            partial(label_is_late, lacks=lambda trial: 1 / divisor(trial.sample)),
        ),
        Mistake(
            "wrong order", "1 is subtracted after the multiplication by gy, so that it is not multiplied",
            "the whole difference p minus one-hot is multiplied by gy",
            partial(label_is_late, lacks=of_each_sample),
        ),
    ),
    {
        "the batch has more than one sample": lambda sample: len(sample.inputs[0]) > 1,
        'the reduction is "mean"': lambda sample: reduction_of(sample) == "mean",
        'the reduction is "sum"': lambda sample: reduction_of(sample) == "sum",
        'the reduction is "none"': lambda sample: reduction_of(sample) == "none",
    },
    {"gx": "nk"},
)  # fmt: skip
