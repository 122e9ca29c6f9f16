"""`minicnn exercise`: write backward passes and have them graded; find wrong ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minicnn.errors import UsageError

if TYPE_CHECKING:
    from minicnn.study.exercises import Exercise

EXAMPLES = """\
examples:
  minicnn exercise list                   what there is, and how far you are
  minicnn exercise start relu             writes exercises/relu.py, for you to complete
  minicnn exercise check relu             grades it, with hints
  minicnn exercise check relu --more      ... longer ones
  minicnn exercise bugs                   backward passes that are wrong: find out where
  minicnn exercise bugs start frame       writes exercises/bugs/frame.py, for you to mend
  minicnn exercise bugs check frame       is it mended?
  minicnn exercise bugs explain frame     what was wrong

exit status: 0 right, 1 not right yet (or not written), 2 a file that cannot be used
"""
FOLDER = Path("exercises")
NOT_RIGHT = 1


def add_exercise_flags(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with exercises."""
    parser.set_defaults(command=list_command, file=None)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", parser_class=type(parser))
    listing = actions.add_parser("list", help="list the exercises, and how far you are")
    listing.set_defaults(command=list_command)
    _add_start_and_check(actions, "an exercise", "complete", start_command, check_command)

    bugs = actions.add_parser("bugs", help="list ops whose backward is wrong, to be found with the checker")
    bugs.set_defaults(command=bugs_command)
    of_bugs = bugs.add_subparsers(title="actions", metavar="ACTION", parser_class=type(parser))
    of_bugs.add_parser("list", help="list them").set_defaults(command=bugs_command)
    _add_start_and_check(of_bugs, "a wrong op", "mend", start_bug_command, check_bug_command)
    explain = of_bugs.add_parser("explain", help="say what is wrong, and why it is hard to see")
    explain.add_argument("name", metavar="NAME")
    explain.set_defaults(command=explain_bug_command)


Command = Callable[[argparse.Namespace], int]


def _add_start_and_check(
    actions: Any, what: str, to_do: str, start_with: Command, check_with: Command
) -> None:
    start = actions.add_parser("start", help=f"write the file of {what}, for you to {to_do}")
    start.add_argument("name", metavar="NAME", help="see the list")
    start.add_argument("--out", metavar="FILE", type=Path, help="where (default: in the folder exercises)")
    start.add_argument("--force", action="store_true", help="replace the file if there is one: begin again")
    start.set_defaults(command=start_with)
    check = actions.add_parser("check", help=f"grade your file of {what}")
    check.add_argument("name", metavar="NAME", help="see the list")
    check.add_argument("--file", metavar="FILE", type=Path, help="which (default: in the folder exercises)")
    check.add_argument("--more", action="store_true", help="longer hints: what to do, and more values")
    check.set_defaults(command=check_with)


def list_command(options: argparse.Namespace) -> int:
    """List the exercises."""
    from minicnn.study.exercises import EXERCISES
    from minicnn.study.text_tables import Column, as_text

    columns = [Column(heading, left=True) for heading in ("exercise", "level", "yours", "what it is about")]
    rows = [
        [name, "*" * exercise.difficulty, _status(exercise), exercise.title]
        for name, exercise in EXERCISES.items()
    ]
    print("\n".join(as_text(columns, rows)))
    print(f"\nYour files are looked for in {FOLDER}/. To begin: minicnn exercise start {rows[0][0]}")
    return 0


def _status(exercise: Exercise) -> str:
    """Say how far the learner's file is, by grading it; the gradient checker is left out, for speed."""
    from minicnn.study.exercises import grade, load_backward

    path = exercise_file(exercise.name)
    if not path.exists():
        return "-"
    try:
        graded = grade(exercise, load_backward(exercise, path), path, with_gradcheck=False)
    except UsageError:
        return "cannot be read"
    if graded.not_written:
        return "started"
    return "right" if graded.passed else "not right yet"


def start_command(options: argparse.Namespace) -> int:
    """Write the template of an exercise."""
    from minicnn.study.exercises import exercise_named, template

    exercise = exercise_named(options.name)
    path = options.out or exercise_file(exercise.name)
    _write(path, template(exercise.name), options.force)
    print(f"{path}: {exercise.title}")
    print(f"Complete it in an editor, then: minicnn exercise check {exercise.name}{_flag(options.out)}")
    return 0


def check_command(options: argparse.Namespace) -> int:
    """Grade the learner's file; returns 0 if it is right and 1 if not."""
    from minicnn.study.exercises import exercise_named, grade, load_backward
    from minicnn.study.exercises.report import grade_text

    exercise = exercise_named(options.name)
    path = options.file or exercise_file(exercise.name)
    _check_started(path, f"minicnn exercise start {exercise.name}")
    graded = grade(exercise, load_backward(exercise, path), path)
    print(grade_text(graded, options.more))
    return 0 if graded.passed else NOT_RIGHT


def bugs_command(options: argparse.Namespace) -> int:
    """List the wrong ops."""
    from minicnn.study.exercises.bug_catalogue import BUGS
    from minicnn.study.text_tables import Column, as_text

    columns = [Column("bug", left=True), Column("level", left=True), Column("what it is", left=True)]
    print("\n".join(as_text(columns, [[b.name, "*" * b.difficulty, b.title] for b in BUGS.values()])))
    print(f"\nEach forward is right. To begin: minicnn exercise bugs start {next(iter(BUGS))}")
    return 0


def start_bug_command(options: argparse.Namespace) -> int:
    """Write the file of a wrong op."""
    from minicnn.study.exercises.bug_catalogue import bug_named
    from minicnn.study.exercises.bugs import source_of

    bug = bug_named(options.name)
    path = options.out or bug_file(bug.name)
    _write(path, source_of(bug), options.force)
    print(f"{path}: {bug.title}")
    print(f"See what the gradient checker says: python {path}")
    print(f"When you have mended it: minicnn exercise bugs check {bug.name}{_flag(options.out)}")
    return 0


def check_bug_command(options: argparse.Namespace) -> int:
    """Grade a mended op; returns 0 if it is right and 1 if not."""
    from minicnn.study.exercises.bug_catalogue import bug_named
    from minicnn.study.exercises.bug_report import examination_text
    from minicnn.study.exercises.bugs import examine

    bug = bug_named(options.name)
    path = options.file or bug_file(bug.name)
    _check_started(path, f"minicnn exercise bugs start {bug.name}")
    examination = examine(bug, path)
    print(examination_text(bug, examination, options.more))
    return 0 if all(finding.right for finding in examination) else NOT_RIGHT


def explain_bug_command(options: argparse.Namespace) -> int:
    """Say what is wrong with an op."""
    from minicnn.study.exercises.bug_catalogue import bug_named
    from minicnn.study.exercises.bug_report import explanation_text

    print(explanation_text(bug_named(options.name)))
    return 0


def exercise_file(name: str) -> Path:
    """Where the learner's file of an exercise lies."""
    from minicnn.study.exercises.catalogue import file_name

    return FOLDER / file_name(name)


def bug_file(name: str) -> Path:
    """Where the learner's file of a wrong op lies."""
    return FOLDER / "bugs" / f"{name}.py"


def _flag(out: Path | None) -> str:
    return f" --file {out}" if out is not None else ""


def _write(path: Path, text: str, force: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path}: expected a file to write, got a folder")
    if path.exists() and not force:
        raise UsageError(f"{path}: is there already, and is yours; --force begins again and replaces it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _check_started(path: Path, start: str) -> None:
    if not path.exists():
        raise UsageError(f"{path}: there is no such file; begin with: {start}")
