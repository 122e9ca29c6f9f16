"""Grading a learner's backward: by minicnn's own op on every sample, and by difference quotients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.gradient_check import gradcheck
from minicnn.gradient_check.differences import random_cotangent
from minicnn.op_cases import Sample
from minicnn.study.exercises.attempt import Attempt, AttemptError, NotWritten
from minicnn.study.exercises.exercise import Exercise, Trial, own_gradients
from minicnn.study.exercises.learners_file import running
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
    exercise: Exercise,
    backward: Callable[..., Any],
    path: Path | None = None,
    with_gradcheck: bool = True,
    tell: Callable[[str], object] = lambda which: None,
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
    tell : callable, optional
        Is told which sample comes next, for whoever waits.

    Raises
    ------
    Stopped
        If the user stops it (a KeyboardInterrupt), with the sample that it was at.
    """
    trials = []
    samples = exercise.samples()
    graded = [partial(_trial, sample=sample, with_gradcheck=with_gradcheck) for sample in samples]
    graded.append(partial(_float32_trial, sample=samples[0]))
    labels = [*(sample.label for sample in samples), FLOAT32]
    try:
        for number, (label, trial) in enumerate(zip(labels, graded, strict=True), start=1):
            with running(f'sample {number} of {len(labels)}, "{label}"', path, tell):
                trials.append(trial(exercise, backward, path))
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
            place
            for name, old, new in zip(("gy", *exercise.arguments), before, (given[0], *values), strict=True)
            for place in _changed(name, old, new)
        ]
        got = {name: g.copy() for name, g in attempt.by_name(returned, len(sample.inputs)).items()}
    except NotWritten:
        raise
    except AttemptError as error:
        return Trial(exercise, sample, gy, right, {}, problem=str(error))
    other = [
        f"{name} is {got[name].dtype}, its input is {own.dtype}"
        for name, own in right.items()
        if got[name].dtype != own.dtype
    ]
    trial = Trial(
        exercise, sample, gy, right, got, dtype="".join(other[:1]), spoiled=" and ".join(spoiled)
    )  # fmt: skip
    fits = not trial.dtype and all(got[name].shape == own.shape for name, own in right.items())
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
    return replace(trial, right={}, got={})


def _copied(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    return {name: _copied(array) for name, array in vars(value).items()} if _holds_arrays(value) else value


def _changed(name: str, old: Any, new: Any) -> list[str]:
    """Name the arrays that are not as they were: "x", or "saved.x" for one that `saved` holds."""
    if isinstance(new, np.ndarray):
        return [] if np.array_equal(old, new, equal_nan=True) else [name]
    if _holds_arrays(new):
        return [
            place
            for part, array in vars(new).items()
            for place in _changed(f"{name}.{part}", old[part], array)
        ]
    return []


def _holds_arrays(value: Any) -> bool:
    return hasattr(value, "__dict__")
