"""What to tell a learner whose gradient is wrong: where it is wrong, and the mistake that explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.gradient_check.findings import coordinate
from minicnn.op_cases import Sample
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial, near
from minicnn.study.exercises.explanation import explanations

# How many values `--more` puts side by side.
SHOWN = 5


@dataclass(frozen=True)
class Hint:
    """What there is to say about one gradient.

    Attributes
    ----------
    gradient : str
        Which one.
    label : str
        The first sample in which it is wrong.
    summary : str
        In how many coordinates and samples.
    where : tuple of str
        What the wrong samples and coordinates have in common.
    values : tuple of str
        Coordinate, the learner's value and the right one; or the two shapes.
    mistake : Mistake or None
        The one that explains all numbers.
    """

    gradient: str
    label: str
    summary: str
    where: tuple[str, ...]
    values: tuple[str, ...]
    mistake: Mistake | None


def hints(exercise: Exercise, trials: Sequence[Trial]) -> list[Hint]:
    """Return one hint for every gradient that is wrong somewhere, in the order in which they are returned."""
    tried = [trial for trial in trials if trial.right and not trial.problem]
    names = dict.fromkeys(name for trial in tried for name in trial.right)
    having = {
        name: [trial for trial in tried if name in trial.right]
        for name in names
        if any(name in trial.wrong for trial in tried)
    }
    found = explanations(exercise, having)
    return [_hint(exercise, name, having[name], found[name]) for name in having]


def _hint(exercise: Exercise, name: str, trials: list[Trial], mistake: Mistake | None) -> Hint:
    wrong = [trial for trial in trials if name in trial.wrong]
    right = [trial for trial in trials if name not in trial.wrong]
    # A wrong shape says the most; otherwise the first sample is the plainest.
    first = min(wrong, key=lambda trial: trial.got[name].shape == trial.right[name].shape)
    got, expected = first.got[name], first.right[name]
    where = _common_features(exercise, [t.sample for t in wrong], [t.sample for t in right])
    if got.shape != expected.shape:
        summary = f"has the wrong shape in {len(wrong)} of {len(trials)} samples"
        values = [f"yours has shape {got.shape}, right is {expected.shape}"]
    else:
        bad = np.argwhere(~near(got, expected))
        summary = (
            f"wrong in {len(wrong)} of {len(trials)} samples; here in {len(bad)} of {expected.size} values"
        )
        values = [
            f"at {_coordinate(exercise, name, index)}: you have {_written(got[tuple(index)])}, "
            f"right is {_written(expected[tuple(index)])}"
            for index in bad[:SHOWN]
        ]
        where += _common_places(exercise, name, bad, expected.shape)
        lost = np.count_nonzero(np.isfinite(expected) & ~np.isfinite(got))
        if lost:
            where.append(f"not finite (inf or nan) in {lost} of them: what is divided by 0, or overflows?")
    return Hint(name, first.sample.label, summary, tuple(where), tuple(values), mistake)


def _written(value: float) -> str:
    """Write a number, and a zero without a sign."""
    return f"{value + 0.0:.6g}"


def _letters(exercise: Exercise, name: str, ndim: int) -> Sequence[str]:
    """Name the axes of a gradient; nothing if they have no names."""
    letters = exercise.axes.get(name, "nhwc" if ndim == 4 else "")
    return letters if len(letters) == ndim else ()


def _coordinate(exercise: Exercise, name: str, index: np.ndarray) -> str:
    letters = _letters(exercise, name, len(index))
    if letters:
        return ", ".join(f"{letter}={i}" for letter, i in zip(letters, index, strict=True))
    return coordinate(tuple(index)) or "its only element"


def _common_features(exercise: Exercise, wrong: list[Sample], right: list[Sample]) -> list[str]:
    """Say what is true of all wrong samples and of no right one."""
    if not right:
        return ["in every sample"]
    telling = [
        feature
        for feature, has in exercise.features.items()
        if all(map(has, wrong)) and not any(map(has, right))
    ]
    return [f"wrong wherever, and only where, {'; '.join(telling)}"] if telling else []


def _common_places(exercise: Exercise, name: str, bad: np.ndarray, shape: tuple[int, ...]) -> list[str]:
    """Say along which axes the wrong coordinates keep to some indices, and if that is an image's border."""
    if len(bad) == 1:
        return []  # the coordinate itself says it all
    letters = _letters(exercise, name, len(shape)) or [f"axis {axis}" for axis in range(len(shape))]
    places = []
    for axis, (letter, size) in enumerate(zip(letters, shape, strict=True)):
        indices = sorted(set(bad[:, axis].tolist()))
        if len(indices) < size:
            places.append(f"only at {letter} = {', '.join(map(str, indices))} (of 0 to {size - 1})")
    if name == "gx" and len(shape) == 4 and min(shape[1:3]) > 2:
        H, W = shape[1:3]
        rows, columns = bad[:, 1], bad[:, 2]
        at_border = (rows == 0) | (rows == H - 1) | (columns == 0) | (columns == W - 1)
        if at_border.all():
            places.append("only at pixels on the border of the image: that is what padding touches")
    return places
