"""The exercises solved, and attempts graded from their text as if a learner had written it into a file."""

import tempfile
from pathlib import Path

from minicnn.study.exercises import EXERCISES, Grade, grade, load_backward
from minicnn.study.exercises.catalogue import file_name
from package_tree import ROOT

SOLUTIONS = ROOT / "tests" / "study" / "exercises" / "solutions"


def solution(name: str) -> str:
    """Return the text of a right solution."""
    return (SOLUTIONS / file_name(name)).read_text()


def changed(name: str, *changes: tuple[str, str]) -> str:
    """Return a solution in which each old text, which has to be there once, is replaced by a new one."""
    text = solution(name)
    for old, new in changes:
        assert text.count(old) == 1, f"{name}: {old!r}"
        text = text.replace(old, new)
    return text


def attempt(name: str, text: str, with_gradcheck: bool = True) -> Grade:
    """Grade a file of this text."""
    exercise = EXERCISES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file_name(name)
        path.write_text(text)
        return grade(exercise, load_backward(exercise, path), path, with_gradcheck)
