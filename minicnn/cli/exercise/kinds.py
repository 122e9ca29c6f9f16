"""What can be started, checked and listed: exercises, and ops with a mistake in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from minicnn.study.exercises import Exercise
    from minicnn.study.exercises.bugs import Bug

FOLDER = Path("exercises")
Tell = Callable[[str], object]


class Task(Protocol):
    """What both kinds have."""

    @property
    def name(self) -> str:
        """How it is called on the command line."""

    @property
    def title(self) -> str:
        """What it is about, in one line."""

    @property
    def difficulty(self) -> int:
        """From 1 to 3."""


class Verdict(NamedTuple):
    """What came of a check: whether everything is right, and what there is to read."""

    right: bool
    text: str


T = TypeVar("T", bound=Task)


class Kind(ABC, Generic[T]):
    """One kind of task.

    Attributes
    ----------
    command : str
        What is typed before `start` and `check`.
    what, to_do, heading, note, done : str
        For help and list: what it is, what the learner does with it, its column, the last line, and the
        status of what is right.
    """

    command: str
    what: str
    to_do: str
    heading: str
    note: str
    done: str

    @abstractmethod
    def tasks(self) -> Mapping[str, T]:
        """Return all, in the order in which to do them."""

    @abstractmethod
    def named(self, name: str) -> T:
        """Return the one of that name; raises UsageError if there is none."""

    @abstractmethod
    def file(self, task: T) -> Path:
        """Where the learner's file lies, if it lies where it is looked for."""

    @abstractmethod
    def text(self, task: T) -> str:
        """Return what the learner starts from."""

    @abstractmethod
    def what_next(self, task: T, path: Path) -> str:
        """Say what to do with the file that has been written to `path`."""

    @abstractmethod
    def check(self, task: T, path: Path, more: bool, tell: Tell) -> Verdict:
        """Grade a file."""

    @abstractmethod
    def status(self, task: T, path: Path, tell: Tell) -> str:
        """Say in a word or two how far a file is."""


class Exercises(Kind["Exercise"]):
    """Backward passes to write."""

    command = "minicnn exercise"
    what, to_do, heading = "an exercise", "complete", "exercise"
    note = f"Your files are looked for in {FOLDER}/."
    done = "right"

    def tasks(self) -> Mapping[str, Exercise]:
        from minicnn.study.exercises import EXERCISES

        return EXERCISES

    def named(self, name: str) -> Exercise:
        from minicnn.study.exercises import exercise_named

        return exercise_named(name)

    def file(self, task: Exercise) -> Path:
        from minicnn.study.exercises.catalogue import file_name

        return FOLDER / file_name(task.name)

    def text(self, task: Exercise) -> str:
        from minicnn.study.exercises import template

        return template(task.name)

    def what_next(self, task: Exercise, path: Path) -> str:
        return "Complete it in an editor, then"

    def check(self, task: Exercise, path: Path, more: bool, tell: Tell) -> Verdict:
        from minicnn.study.exercises import grade, load_backward
        from minicnn.study.exercises.report import grade_text

        graded = grade(task, load_backward(task, path), path, tell=tell)
        return Verdict(graded.passed, grade_text(graded, more))

    def status(self, task: Exercise, path: Path, tell: Tell) -> str:
        """Grade without the gradient checker, for speed."""
        from minicnn.study.exercises import grade, load_backward

        graded = grade(task, load_backward(task, path), path, with_gradcheck=False, tell=tell)
        if graded.not_written:
            return "started"
        return self.done if graded.passed else "not right yet"


class Bugs(Kind["Bug"]):
    """Ops whose backward is wrong, to be mended."""

    command = "minicnn exercise bugs"
    what, to_do, heading = "a wrong op", "mend", "bug"
    note = "Each forward is right."
    done = "mended"

    def tasks(self) -> Mapping[str, Bug]:
        from minicnn.study.exercises.bug_catalogue import BUGS

        return BUGS

    def named(self, name: str) -> Bug:
        from minicnn.study.exercises.bug_catalogue import bug_named

        return bug_named(name)

    def file(self, task: Bug) -> Path:
        return FOLDER / "bugs" / f"{task.name}.py"

    def text(self, task: Bug) -> str:
        from minicnn.study.exercises.bugs import source_of

        return source_of(task)

    def what_next(self, task: Bug, path: Path) -> str:
        return f"See what the gradient checker says: python {path}\nWhen you have mended it"

    def check(self, task: Bug, path: Path, more: bool, tell: Tell) -> Verdict:
        from minicnn.study.exercises.bug_report import examination_text
        from minicnn.study.exercises.bugs import examine

        findings = examine(task, path, tell)
        return Verdict(all(f.right for f in findings), examination_text(task, findings, more))

    def status(self, task: Bug, path: Path, tell: Tell) -> str:
        from minicnn.study.exercises.bugs import examine

        findings = examine(task, path, tell)
        if all(finding.right for finding in findings):
            return self.done
        return "started" if path.read_text(encoding="utf-8-sig") == self.text(task) else "not right yet"
