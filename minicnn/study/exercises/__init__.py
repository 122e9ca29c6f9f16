"""Exercises in writing backward passes, and wrong ones to be found: what `minicnn exercise` is about.

    exercise.py          what an exercise is; one run of a learner's backward; what a mistake would have given
    learners_file.py     reads what a learner wrote
    attempt.py           makes an op of it
    grading.py           runs it on all samples of the op's case, and asks the gradient checker
    hints.py             where it is wrong, and why
    explanation.py       the mistake that leads to the learner's numbers
    general_mistakes.py  those that are made everywhere; each exercise has its own
    advice.py            what an error mostly means
    report.py            how all that reads
    tasks/               one exercise, one file
    templates/           what a learner starts from
    parts.py             backward passes to put a larger one together from
    wrong/               ops whose backward is wrong, to be found with the gradient checker
    bugs.py              what is known about them, and the grading of mended ones

docs/exercises.md is the way in.
"""

from minicnn.study.exercises.catalogue import EXERCISES, exercise_named, template
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial
from minicnn.study.exercises.grading import Grade, grade
from minicnn.study.exercises.hints import Hint, hints
from minicnn.study.exercises.learners_file import Stopped, load_backward

__all__ = [
    "EXERCISES",
    "Exercise",
    "Grade",
    "Hint",
    "Mistake",
    "Stopped",
    "Trial",
    "exercise_named",
    "grade",
    "hints",
    "load_backward",
    "template",
]
