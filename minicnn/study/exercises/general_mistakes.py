"""Mistakes that are made in every exercise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.study.exercises.exercise import Mistake, Predict, Trial, matches


def _scaled(factor: Callable[[Trial, str], float]) -> Callable[[Trial, str], np.ndarray]:
    return lambda trial, name: trial.right[name] * factor(trial, name)


def _batch(trial: Trial, name: str) -> int:
    return len(trial.sample.inputs[0]) if trial.sample.inputs[0].ndim else 1


def _transposed(trial: Trial, name: str) -> np.ndarray | None:
    right = trial.right[name]
    return right.T if right.ndim == 2 else None


def _relabelled(trial: Trial, name: str) -> np.ndarray | None:
    """Read the gradient as a matrix, transpose it and reshape it: its numbers in another order."""
    right = trial.right[name]
    if right.ndim < 2:
        return None
    return right.reshape(-1, right.shape[-1]).T.reshape(right.shape)


def _not_summed(trial: Trial, name: str) -> np.ndarray | None:
    """Return the learner's array if it has axes too many, whose sum would be right."""
    right, got = trial.right[name], trial.got[name]
    extra = tuple(range(got.ndim - right.ndim))
    return got if extra and matches(got.sum(axis=extra), right) else None


def _reshaped(trial: Trial, name: str) -> np.ndarray | None:
    """Return the learner's array if it holds the right numbers, in the right order, in another shape."""
    right, got = trial.right[name], trial.got[name]
    return got if got.size == right.size and matches(got.reshape(right.shape), right) else None


def _summed_away(trial: Trial, name: str) -> np.ndarray | None:
    """Return the learner's array if it is the right one summed over some of its first axes, or all."""
    right, got = trial.right[name], trial.got[name]
    sums = [right.sum(axis=tuple(range(axes))) for axes in range(1, right.ndim + 1)]
    sums += [right.sum(axis=0, keepdims=True)] if right.ndim else []
    return got if any(matches(got, total) for total in sums) else None


def _one_sample_only(n: int) -> Predict:
    """Predict what comes out if only sample n counts; no statement where y is a number, of all of them."""

    def predict(trial: Trial, name: str) -> np.ndarray | None:
        if trial.gy.ndim == 0:
            return None
        gy = np.zeros_like(trial.gy)
        gy[n] = trial.gy[n]
        return trial.own(name, gy=gy)

    return predict


GENERAL = (
    Mistake(
        "wrong sign", "every value has the wrong sign",
        "a minus is missing or one too many",
        _scaled(lambda trial, name: -1),
    ),
    Mistake(
        "nothing comes back", "all values are zero",
        "is the result ever written into the array that you return?",
        _scaled(lambda trial, name: 0),
    ),
    Mistake(
        "wrong scale", "N times too small: divided by the batch where a sum over it belongs",
        "use sum instead of mean over the samples; only a loss that is a mean divides by N",
        _scaled(lambda trial, name: 1 / _batch(trial, name)),
    ),
    Mistake(
        "wrong scale", "N times too large: the mean over the batch is missing",
        "divide by the number of samples",
        _scaled(lambda trial, name: _batch(trial, name)),
    ),
    Mistake(
        "missing transpose", "your array is the right one transposed",
        "exchange the two factors of the product, or transpose it: the shapes tell which",
        _transposed,
    ),
    Mistake(
        "missing transpose", "the right numbers in the wrong order: a reshape where a transpose belongs",
        "reshape keeps the order in memory; to exchange axes use .T or .transpose(...)",
        _relabelled,
    ),
    Mistake(
        "wrong shape", "the right numbers, in an array of another shape",
        "a gradient has the shape of its input: reshape it; sum without keepdims",
        _reshaped,
    ),
    Mistake(
        "missing sum", "your array has axes too many: summed over them it is right",
        "what was used at many places receives the sum of what comes back from each",
        _not_summed,
    ),
    Mistake(
        "gy is missing", "your gradient is the one for gy = 1: it does not depend on gy",
        "by the chain rule everything is multiplied by gy, the gradient that comes from above",
        lambda trial, name: trial.own(name, gy=np.ones_like(trial.gy)),
    ),
    Mistake(
        "missing sum over the batch", "only the first sample of the batch counts",
        "every sample contributes: sum over n, or loop over all of them",
        _one_sample_only(0),
    ),
    Mistake(
        "missing sum over the batch", "only the last sample of the batch counts",
        "in a loop over the samples, add (+=) what each contributes: = forgets the ones before",
        _one_sample_only(-1),
    ),
    Mistake(
        "sum over too much", "your array lacks axes: it is the right one, summed over them",
        "a gradient has the shape of its input: sum over what the input was used for, and no further",
        _summed_away,
    ),
)  # fmt: skip
