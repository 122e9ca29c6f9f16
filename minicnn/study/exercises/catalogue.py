"""All exercises, in the order in which to learn, and the files that learners start from."""

from __future__ import annotations

from importlib import resources

from minicnn.errors import UsageError
from minicnn.study.exercises.exercise import Exercise
from minicnn.study.exercises.tasks import (
    auxiliary_head,
    avg_pool2d,
    concat,
    conv2d,
    cross_entropy,
    inception,
    linear,
    lrn,
    max_pool2d,
    relu,
)

EXERCISES: dict[str, Exercise] = {
    module.EXERCISE.name: module.EXERCISE
    for module in (
        relu, linear, cross_entropy, concat, avg_pool2d, max_pool2d, lrn, conv2d, inception, auxiliary_head
    )
}  # fmt: skip


def exercise_named(name: str) -> Exercise:
    """Return the exercise of that name, written with - or _.

    Raises
    ------
    UsageError
        If there is none.
    """
    wanted = name.replace("_", "-")
    for known, exercise in EXERCISES.items():
        if known.replace("_", "-") == wanted:
            return exercise
    raise UsageError(f"exercise: expected one of {', '.join(EXERCISES)}; got {name!r}")


def file_name(name: str) -> str:
    """Return the name of the learner's file: one that Python can import."""
    return f"{name.replace('-', '_')}.py"


def template(name: str) -> str:
    """Return the text that a learner's file starts from."""
    folder = resources.files("minicnn.study.exercises.templates")
    return (folder / file_name(name)).read_text(encoding="utf-8")
