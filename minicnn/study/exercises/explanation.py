"""Which mistake explains a learner's numbers.

A mistake is only named if it leads to the learner's numbers, all of them: on every sample in which the
gradient is wrong it has to predict just these values, and on every other sample the right ones. So a hint may
be missing, but it does not mislead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from minicnn.study.exercises.exercise import Exercise, Mistake, Trial, matches
from minicnn.study.exercises.general_mistakes import GENERAL


def explanations(exercise: Exercise, trials: Mapping[str, Sequence[Trial]]) -> dict[str, Mistake | None]:
    """Return the mistake that leads to the learner's numbers for each gradient.

    Parameters
    ----------
    exercise : Exercise
    trials : mapping
        For the name of every gradient that is wrong, all samples that have it.

    Returns
    -------
    dict
        The first mistake of those that explain most gradients: one that is made in a loop over the inputs,
        say, spoils several, and for a single one of them another might give the same numbers.
    """
    own = {name: _of_exercise(exercise, name, tried) for name, tried in trials.items()}
    count = Counter(mistake for found in own.values() for mistake in found)
    return {
        name: max(own[name], key=count.__getitem__) if own[name] else _general(name, tried)
        for name, tried in trials.items()
    }


def _of_exercise(exercise: Exercise, name: str, trials: Sequence[Trial]) -> list[Mistake]:
    possible = [mistake for mistake in exercise.mistakes if not mistake.of or name in mistake.of]
    return [mistake for mistake in possible if explains(mistake, name, trials)]


def _general(name: str, trials: Sequence[Trial]) -> Mistake | None:
    for mistake in (*exchanged(name, trials), *GENERAL):
        if explains(mistake, name, trials):
            return mistake
    return constant_ratio(name, trials)


def explains(mistake: Mistake, name: str, trials: Sequence[Trial]) -> bool:
    """Tell whether a mistake leads to the learner's numbers in all trials."""
    for trial in trials:
        predicted = mistake.predict(trial, name)
        if predicted is None:
            if name in trial.wrong:
                return False
        elif not matches(trial.got[name], np.asarray(predicted)):
            return False
    return True


def exchanged(name: str, trials: Sequence[Trial]) -> list[Mistake]:
    """Make the mistakes of returning the gradient of another input: one for each other."""
    names = list(dict.fromkeys(other for trial in trials for other in trial.right))
    order = ", ".join(names) if len(names) < 5 else "as in the template"
    return [
        Mistake(
            "gradients exchanged", f"this is {other}, the gradient of another input",
            f"return each gradient in its place: {order}",
            partial(_right_of, other=other),
        )
        for other in names
        if other != name
    ]  # fmt: skip


def _right_of(trial: Trial, name: str, other: str) -> np.ndarray | None:
    return trial.right.get(other)


def constant_ratio(name: str, trials: Sequence[Trial]) -> Mistake | None:
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
    return found if explains(found, name, trials) else None
