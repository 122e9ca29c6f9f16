"""The fully connected layer."""

from __future__ import annotations

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
    ),
    {
        "the batch has more than one sample": lambda sample: len(sample.inputs[0]) > 1,
        "there is more than one output": lambda sample: sample.inputs[1].shape[1] > 1,
        "there is a bias": lambda sample: len(sample.inputs) == 3,
    },
    {"gx": "ni", "gw": "io", "gb": "o"},
)  # fmt: skip
