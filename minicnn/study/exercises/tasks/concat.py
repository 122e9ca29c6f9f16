"""Concatenation."""

from __future__ import annotations

from functools import partial

import numpy as np

from minicnn.op_cases import CASES
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial


def axis_of(trial: Trial) -> int:
    """Which axis the arrays are joined along, from 0."""
    return trial.sample.settings.get("axis", -1) % trial.gy.ndim


def cut(trial: Trial, axis: int, start: int, end: int) -> np.ndarray:
    """Cut a slice out of gy."""
    return trial.gy[(slice(None),) * (axis % trial.gy.ndim) + (slice(start, end),)]


def slice_from(trial: Trial, name: str, start: int) -> np.ndarray:
    """Cut a slice of the right size out of gy, from `start`."""
    return cut(trial, axis_of(trial), start, start + size_of(trial, name))


def position(name: str) -> int:
    """Read the number in "gx[2]"."""
    return int(name.removeprefix("gx[").removesuffix("]"))


def size_of(trial: Trial, name: str) -> int:
    """How long an input is along the axis."""
    return trial.right[name].shape[axis_of(trial)]


def start_of(trial: Trial, name: str) -> int:
    """Where the slice of an input begins."""
    return sum(size_of(trial, f"gx[{i}]") for i in range(position(name)))


def after_one(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if a slice begins at the size of the one before it."""
    before = position(name) - 1
    return slice_from(trial, name, size_of(trial, f"gx[{before}]") if before >= 0 else 0)


def along(trial: Trial, name: str, axis: int) -> np.ndarray:
    """Predict gx if the slices are cut along another axis."""
    start = start_of(trial, name)
    return cut(trial, axis, start, start + size_of(trial, name))


def along_last_from_the_start(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if every slice begins at 0, and is cut along the last axis."""
    return cut(trial, -1, 0, size_of(trial, name))


def all_from_the_start(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if every slice begins at 0."""
    return slice_from(trial, name, 0)


def from_the_end(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if the slices are dealt out in the opposite order."""
    after = range(position(name) + 1, len(trial.right))
    return slice_from(trial, name, sum(size_of(trial, f"gx[{i}]") for i in after))


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
            "no running sum", "each slice begins at the size of the one before it, not at their running sum",
            "start += size, or np.cumsum(sizes)",
            after_one,
        ),
        Mistake(
            "end instead of size", "your slices are gy[start:size]: they end too early, or are empty",
            "a slice goes from start to start + size",
            lambda trial, name: cut(trial, axis_of(trial), start_of(trial, name), size_of(trial, name)),
        ),
        Mistake(
            "one too short", "your slices lack their last element: the end of a slice is not part of it",
            "gy[start : start + size] has `size` elements",
            lambda trial, name: cut(
                trial, axis_of(trial), start_of(trial, name), start_of(trial, name) + size_of(trial, name) - 1
            ),
        ),
        Mistake(
            "wrong axis", "you cut along the last axis always: `axis` says along which",
            "np.split(gy, positions, axis), or (slice(None),) * axis + (slice(start, end),)",
            partial(along, axis=-1),
        ),
        Mistake(
            "wrong axis", "you cut along the first axis always: `axis` says along which",
            "np.split(gy, positions, axis), or (slice(None),) * axis + (slice(start, end),)",
            partial(along, axis=0),
        ),
        Mistake(
            "two mistakes", "every slice begins at 0, and you cut along the last axis always",
            "keep a running sum of the sizes; and `axis` says along which they are",
            along_last_from_the_start,
        ),
        Mistake(
            "equal parts", "gy is cut into parts of equal size, but the sizes differ",
            "input i has sizes[i] along that axis",
            lambda trial, name: np.array_split(trial.gy, len(trial.right), axis_of(trial))[position(name)],
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
