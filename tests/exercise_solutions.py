"""The exercises solved, and attempts graded from their text as if a learner had written it into a file."""

import tempfile
from pathlib import Path

from minicnn.study.exercises import EXERCISES, Grade, Hint, grade, hints, load_backward
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


def found(name: str, text: str) -> dict[str, Hint]:
    """Return the hints for a wrong file of this text, by gradient."""
    graded = attempt(name, text, with_gradcheck=False)
    assert not graded.passed
    return {hint.gradient: hint for hint in hints(EXERCISES[name], graded.trials)}


def read(hint: Hint) -> str:
    """Return the mistake that a hint names."""
    return hint.mistake.likely if hint.mistake else "nothing"


# ---- usual changes to the inception module and the auxiliary head ----

SHARES = {"1x1": "gx1", "3x3": "gx3", "5x5": "gx5", "pooling": "gx_proj"}
ALL_SHARES = "gx1 + gx3 + gx5 + gx_proj"


def lost(*branches: str) -> tuple[str, str]:
    """Leave out what comes back through these branches."""
    kept = " + ".join(share for name, share in SHARES.items() if name not in branches)
    return (ALL_SHARES, kept)


def mask(g: str, y: str) -> tuple[str, str]:
    """Leave out the mask of a ReLU."""
    return (f"    {g} = relu_backward({g}, saved.{y})\n", "")
