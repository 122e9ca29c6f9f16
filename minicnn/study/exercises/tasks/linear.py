"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from minicnn.op_cases import CASES
from minicnn.study.exercises.exercise import Exercise, Mistake

EXERCISE = Exercise(
    "linear", "fully connected layer: two products with a transpose, and a sum", 1, CASES["linear"],
    ("x", "w"), lambda inputs, settings, y: (inputs[0], inputs[1]), ("gx", "gw", "gb"),
    "minicnn/ops/linear.py", "docs/ops/linear.md",
    (
        Mistake(
            "missing sum over the batch", "your gb has one row for each sample: sum it over the samples",
            "b is added to every sample, so it receives the gradient of every sample: a fan-out, hence a sum",
            lambda trial, name: trial.gy, of=("gb",),
        ),
        Mistake(
            "sum along the wrong axis", "your gb is summed over the outputs; it has to be over the samples",
            "gb has the shape of b, (O,): the axis that goes is that of the samples",
            lambda trial, name: trial.gy.sum(axis=1), of=("gb",),
        ),
        Mistake(
            "mean instead of sum", "your gb is N times too small: a mean over the batch where a sum belongs",
            "b is added to every sample, so the contributions of all samples are summed",
            lambda trial, name: trial.gy.mean(axis=0), of=("gb",),
        ),
        Mistake(
            "gy is missing", "your gb is 1 everywhere: that is dy/db of one sample",
            "by the chain rule gb = sum over the samples of gy * 1",
            lambda trial, name: np.ones(trial.gy.shape[1]), of=("gb",),
        ),
        Mistake(
            "wrong factor", "your gb is the sum of x over the samples; it has to be that of gy",
            "y = x @ w + b: the factor of b is 1, so x has no part in gb",
            lambda trial, name: trial.sample.inputs[0].sum(axis=0), of=("gb",),
        ),
        Mistake(
            "gy is missing", "your gw is x transposed: it does not depend on gy",
            "w[i, o] takes part in y[n, o] with the factor x[n, i]: sum gy[n, o] * x[n, i] over n",
            lambda trial, name: trial.sample.inputs[0].T, of=("gw",),
        ),
        Mistake(
            "gy is missing", "your gx is w transposed: it does not depend on gy",
            "x[n, i] takes part in y[n, o] with the factor w[i, o]: sum gy[n, o] * w[i, o] over o",
            lambda trial, name: trial.sample.inputs[1].T, of=("gx",),
        ),
        Mistake(
            "two mistakes", "your gw is transposed, and N times too small: a mean where a sum belongs",
            "x.T @ gy has the shape of w, and sums over the samples; only a loss that is a mean divides by N",
            lambda trial, name: trial.right[name].T / len(trial.gy), of=("gw",),
        ),
    ),
    {
        "the batch has more than one sample": lambda sample: len(sample.inputs[0]) > 1,
        "there is more than one output": lambda sample: sample.inputs[1].shape[1] > 1,
        "there is a bias": lambda sample: len(sample.inputs) == 3,
    },
    {"gx": "ni", "gw": "io", "gb": "o"},
)  # fmt: skip
