"""Grading a learner's backward: by minicnn's own op on every sample, and by difference quotients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.gradient_check import gradcheck
from minicnn.gradient_check.differences import random_cotangent
from minicnn.op_cases import Sample
from minicnn.study.exercises.attempt import Attempt, AttemptError, NotWritten
from minicnn.study.exercises.exercise import Exercise, Trial, own_gradients
from minicnn.tensor import Tensor, composed

# Of each input of a sample, for the gradient checker: enough for nearly all samples to be checked whole.
COORDINATES = 60

FLOAT32 = "float32 stays float32"


@dataclass(frozen=True)
class Grade:
    """What came of an attempt.

    Attributes
    ----------
    exercise : Exercise
    trials : tuple of Trial
        One for each sample, the last in float32.
    not_written : str
        Where NotImplementedError was raised; empty if backward is written.
    """

    exercise: Exercise
    trials: tuple[Trial, ...]
    not_written: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return not self.not_written and all(trial.passed for trial in self.trials)


def grade(
    exercise: Exercise, backward: Callable[..., Any], path: Path | None = None, with_gradcheck: bool = True
) -> Grade:
    """Grade a backward pass on all samples of its op's case.

    Parameters
    ----------
    exercise : Exercise
    backward : callable
        The learner's function, called as `exercise.signature` says, with NumPy arrays.
    path : Path, optional
        Its file, so that problems are reported with their line.
    with_gradcheck : bool, default=True
        Whether the gradient checker judges, too.
    """
    trials = []
    samples = exercise.samples()
    try:
        for sample in samples:
            trials.append(_trial(exercise, backward, path, sample, with_gradcheck))
        trials.append(_float32_trial(exercise, backward, path, samples[0]))
    except NotWritten as error:
        return Grade(exercise, (), str(error))
    return Grade(exercise, tuple(trials))


def _trial(
    exercise: Exercise,
    backward: Callable[..., Any],
    path: Path | None,
    sample: Sample,
    with_gradcheck: bool,
) -> Trial:
    with composed():
        y = exercise.case.function(*map(Tensor, sample.inputs), **sample.settings).data
        gy = np.asarray(random_cotangent(y.shape, np.random.default_rng(y.size)), dtype=y.dtype)
        names = exercise.names(sample)
        own = own_gradients(exercise.case.function, sample.inputs, sample.settings, gy)
    right = dict(zip(names, own, strict=True))
    # Copies for the learner: an array that backward spoils shall not spoil what comes next.
    given = gy.copy(), tuple(x.copy() for x in sample.inputs), y.copy()
    attempt = Attempt(exercise, backward, sample.settings, path)
    values = exercise.values(given[1], sample.settings, given[2])
    before = [_copied(value) for value in (given[0], *values)]
    try:
        returned = attempt.call(given[0], values)
        spoiled = [
            name
            for name, old, new in zip(
                ("gy", *exercise.arguments), before, (given[0], *values), strict=True
            )
            if not _same(old, new)
        ]  # fmt: skip
        got = {name: g.copy() for name, g in attempt.by_name(returned, len(sample.inputs)).items()}
    except NotWritten:
        raise
    except AttemptError as error:
        return Trial(exercise, sample, gy, right, {}, problem=str(error))
    trial = Trial(exercise, sample, gy, right, got, spoiled=" and ".join(spoiled))
    fits = all(got[name].shape == own.shape and got[name].dtype == own.dtype for name, own in right.items())
    if not with_gradcheck or not fits:
        return trial
    return replace(trial, gradcheck=_verdict(exercise, backward, path, sample))


def _verdict(exercise: Exercise, backward: Callable[..., Any], path: Path | None, sample: Sample) -> str:
    """Ask the gradient checker, and put its answer into a few words."""
    try:
        report = gradcheck(
            lambda *tensors: Attempt(exercise, backward, sample.settings, path).apply(*tensors),
            sample.inputs,
            rng=np.random.default_rng(0),
            samples=COORDINATES,
        )
    except AttemptError as error:  # backward went through once, and now does not
        return f"FAILED, {error}"
    if report.problem:
        return f"FAILED, {report.problem}"
    wrong, kinks = len(report.failures), len(report.kinks)
    if wrong:
        return f"FAILED, {wrong} of {report.checked} wrong"
    return f"{report.checked - kinks} right" + (f", {kinks} at a kink" if kinks else "")


def _float32_trial(
    exercise: Exercise, backward: Callable[..., Any], path: Path | None, sample: Sample
) -> Trial:
    """Run the first sample in float32, for the dtype alone: its rounding errors are no mistakes."""
    narrow = Sample(FLOAT32, tuple(x.astype(np.float32) for x in sample.inputs), sample.settings)
    trial = _trial(exercise, backward, path, narrow, with_gradcheck=False)
    other = [
        f"{name} is {g.dtype}, its input is float32" for name, g in trial.got.items() if g.dtype != np.float32
    ]
    problem = trial.problem or (
        f"{other[0]}: use arrays of the dtype of gy (np.zeros_like(x), np.zeros(shape, gy.dtype))"
        if other
        else ""
    )
    return Trial(exercise, narrow, trial.gy, {}, {}, problem=problem)


def _copied(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    return {name: _copied(array) for name, array in vars(value).items()} if _holds_arrays(value) else value


def _same(old: Any, new: Any) -> bool:
    if isinstance(new, np.ndarray):
        return np.array_equal(old, new, equal_nan=True)
    if _holds_arrays(new):
        return all(_same(old[name], array) for name, array in vars(new).items())
    return True


def _holds_arrays(value: Any) -> bool:
    return hasattr(value, "__dict__")
