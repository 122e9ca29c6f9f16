"""What to tell a learner whose gradient is wrong: where it is wrong, and which mistake explains the numbers.

A mistake is only named if it leads to the learner's numbers, all of them: on every sample in which the
gradient is wrong it has to predict just these values, and on every other sample the right ones. So a hint may
be missing, but it does not mislead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.gradient_check.findings import coordinate
from minicnn.op_cases import Sample
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial, matches, near

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
    return [
        _hint(exercise, name, [trial for trial in tried if name in trial.right])
        for name in names
        if any(name in trial.wrong for trial in tried)
    ]


def explanation(exercise: Exercise, name: str, trials: Sequence[Trial]) -> Mistake | None:
    """Return the first mistake that leads to the learner's numbers in all trials."""
    for mistake in (*exercise.mistakes, *GENERAL):
        if (not mistake.of or name in mistake.of) and _explains(mistake, name, trials):
            return mistake
    return _constant_ratio(name, trials)


def _explains(mistake: Mistake, name: str, trials: Sequence[Trial]) -> bool:
    for trial in trials:
        predicted = mistake.predict(trial, name)
        if predicted is None:
            if name in trial.wrong:
                return False
        elif not matches(trial.got[name], np.asarray(predicted)):
            return False
    return True


def _hint(exercise: Exercise, name: str, trials: list[Trial]) -> Hint:
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
            f"at {_coordinate(exercise, name, index)}: you have {got[tuple(index)]:.6g}, "
            f"right is {expected[tuple(index)]:.6g}"
            for index in bad[:SHOWN]
        ]
        where += _common_places(exercise, name, bad, expected.shape)
    mistake = explanation(exercise, name, trials)
    return Hint(name, first.sample.label, summary, tuple(where), tuple(values), mistake)


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


# ---- mistakes that are made everywhere --------------------------------------------------------------


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


def _exchanged(trial: Trial, name: str) -> np.ndarray | None:
    """Find the gradient of another input among the right ones."""
    for other, right in trial.right.items():
        if other != name and not matches(right, trial.right[name]) and matches(trial.got[name], right):
            return right
    return None


def _first_sample_only(trial: Trial, name: str) -> np.ndarray | None:
    if trial.gy.ndim == 0:
        return None  # y is a number, of all samples together
    gy = np.zeros_like(trial.gy)
    gy[:1] = trial.gy[:1]
    return trial.own(name, gy=gy)


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
        "missing sum", "your array has axes too many: summed over them it is right",
        "what was used at many places receives the sum of what comes back from each",
        _not_summed,
    ),
    Mistake(
        "gradients exchanged", "this is the gradient of another input",
        "return the gradients in the order that the template names",
        _exchanged,
    ),
    Mistake(
        "gy is missing", "your gradient is the one for gy = 1: it does not depend on gy",
        "by the chain rule everything is multiplied by gy, the gradient that comes from above",
        lambda trial, name: trial.own(name, gy=np.ones_like(trial.gy)),
    ),
    Mistake(
        "missing sum over the batch", "only the first sample of the batch counts",
        "every sample contributes: sum over n, or loop over all of them",
        _first_sample_only,
    ),
)  # fmt: skip


def _constant_ratio(name: str, trials: Sequence[Trial]) -> Mistake | None:
    """Find one factor by which the gradient is wrong in all trials."""
    telling = [trial for trial in trials if trial.right[name].any()]
    if sum(np.count_nonzero(trial.right[name]) for trial in telling) < 2:
        return None  # a single number is always some number of times the right one
    if any(trial.got[name].shape != trial.right[name].shape for trial in telling):
        return None
    right, got = telling[0].right[name], telling[0].got[name]
    largest = np.unravel_index(np.abs(right).argmax(), right.shape)
    ratio = got[largest] / right[largest]
    found = Mistake(
        "wrong scale",
        f"every value is {ratio:.6g} times the right one, in every sample",
        "look for a constant factor: one too many, or one that is missing",
        lambda trial, name: trial.right[name] * ratio,
    )
    return found if _explains(found, name, trials) else None
