"""Concatenation."""

from __future__ import annotations

import numpy as np

from minicnn.op_cases import CASES
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial


def axis_of(trial: Trial) -> int:
    """Which axis the arrays are joined along, from 0."""
    return trial.sample.settings.get("axis", -1) % trial.gy.ndim


def slice_from(trial: Trial, name: str, start: int) -> np.ndarray:
    """Cut a slice of the right size out of gy, from `start`."""
    axis = axis_of(trial)
    size = trial.right[name].shape[axis]
    return trial.gy[(slice(None),) * axis + (slice(start, start + size),)]


def position(name: str) -> int:
    """Read the number in "gx[2]"."""
    return int(name.removeprefix("gx[").removesuffix("]"))


def all_from_the_start(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if every slice begins at 0."""
    return slice_from(trial, name, 0)


def from_the_end(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if the slices are dealt out in the opposite order."""
    axis, last = axis_of(trial), len(trial.right) - 1
    after = [trial.right[f"gx[{i}]"].shape[axis] for i in range(position(name) + 1, last + 1)]
    return slice_from(trial, name, sum(after))


EXERCISE = Exercise(
    "concat", "concatenation: cut gy apart again", 1, CASES["concat"],
    ("sizes", "axis"),
    lambda inputs, settings, y: (
        [x.shape[settings.get("axis", -1)] for x in inputs], settings.get("axis", -1) % y.ndim
    ),
    (),
    "minicnn/ops/concat.py", "docs/ops/concat.md",
    (
        Mistake(
            "no offset", "every slice begins at 0: each has to begin where the one before it ends",
            "keep a running sum of the sizes",
            all_from_the_start,
        ),
        Mistake(
            "opposite order", "the slices are dealt out in the opposite order",
            "the first input lies first in y",
            from_the_end,
        ),
        Mistake(
            "gy as a whole",
            "you return all of gy: only the slice that the input was copied to belongs to it",
            "gx[i] has the shape of input i",
            lambda trial, name: trial.gy,
        ),
    ),
    {
        "the axis is not the last": lambda sample: sample.settings.get("axis", -1) != -1,
        "the sizes differ": lambda sample: len({x.shape for x in sample.inputs}) > 1,
        "there is more than one input": lambda sample: len(sample.inputs) > 1,
    },
)  # fmt: skip
