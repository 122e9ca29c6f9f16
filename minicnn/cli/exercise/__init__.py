"""`minicnn exercise`: write backward passes and have them graded; find wrong ones.

What can be done with exercises can be done with bugs, too; kinds.py has where they differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from minicnn.cli.exercise.kinds import Bugs, Exercises, Kind, T, Tell
from minicnn.cli.failure import INTERRUPTED
from minicnn.errors import UsageError

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

exit status: 0 right, 1 not right yet (or not written), 2 a file that cannot be used, 130 stopped with Ctrl-C
"""
NOT_RIGHT = 1
NOT_STARTED = "-"

Command = Callable[[argparse.Namespace], int]


def add_exercise_flags(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with exercises."""
    actions = _add_actions(parser, Exercises())
    bugs = actions.add_parser("bugs", help="ops whose backward is wrong, to be found with the checker")
    explain = _add_actions(bugs, Bugs()).add_parser("explain", help="say what is wrong, and where it shows")
    explain.add_argument("name", metavar="NAME", help="see the list")
    explain.set_defaults(command=explain_command)


def _add_actions(parser: argparse.ArgumentParser, kind: Kind[Any]) -> Any:
    """Add list, start and check; without an action, the parser's command is list."""
    listing: Command = partial(_stoppable, partial(list_command, kind))
    parser.set_defaults(command=listing)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", parser_class=type(parser))
    actions.add_parser("list", help="list them, and how far you are").set_defaults(command=listing)
    start = actions.add_parser("start", help=f"write the file of {kind.what}, for you to {kind.to_do}")
    start.add_argument("name", metavar="NAME", help="see the list")
    start.add_argument("--out", metavar="FILE", type=Path, help="where (default: in the folder exercises)")
    start.add_argument("--force", action="store_true", help="replace the file if there is one: begin again")
    start.set_defaults(command=partial(start_command, kind))
    check = actions.add_parser("check", help=f"grade your file of {kind.what}")
    check.add_argument("name", metavar="NAME", help="see the list")
    check.add_argument("--file", metavar="FILE", type=Path, help="which (default: in the folder exercises)")
    check.add_argument("--more", action="store_true", help="longer hints: what to do, and more values")
    check.set_defaults(command=partial(_stoppable, partial(check_command, kind)))
    return actions


def _stoppable(command: Command, options: argparse.Namespace) -> int:
    """Run what runs a learner's file; Ctrl-C ends it with a line that says where it was."""
    try:
        return command(options)
    except KeyboardInterrupt as error:
        if not str(error):
            raise  # not in a learner's file
        print(f"minicnn: stopped at {error}", file=sys.stderr)
        return INTERRUPTED


def list_command(kind: Kind[T], options: argparse.Namespace) -> int:
    """List all of a kind, and how far the learner is."""
    from minicnn.study.text_tables import Column, as_text

    tasks = kind.tasks()
    columns = [Column(heading, left=True) for heading in (kind.heading, "level", "yours", "what it is about")]
    with _progress() as tell:
        rows = [[t.name, "*" * t.difficulty, _status(kind, t, tell), t.title] for t in tasks.values()]
    print("\n".join(as_text(columns, rows)))
    left = [(name, status) for name, _, status, _ in rows if status != kind.done]
    print(f"\n{kind.note} {_next_step(kind, left)}")
    return 0


def _next_step(kind: Kind[T], left: list[tuple[str, str]]) -> str:
    """Say what to do, given the names of those that are not done, and how far they are."""
    if not left:
        return f"All of them are {kind.done}."
    name, status = left[0]
    if status != NOT_STARTED:
        return f"To go on: {kind.command} check {name}"
    return f"{'To begin' if len(left) == len(kind.tasks()) else 'Next'}: {kind.command} start {name}"


def _status(kind: Kind[T], task: T, tell: Tell) -> str:
    path = kind.file(task)
    if not path.exists():
        return NOT_STARTED
    try:
        return kind.status(task, path, lambda what: tell(f"{task.name}: {what}"))
    except UsageError:
        return "cannot be read"


def start_command(kind: Kind[T], options: argparse.Namespace) -> int:
    """Write the file that the learner starts from."""
    task = kind.named(options.name)
    path: Path = options.out or kind.file(task)
    if path.is_dir():
        raise UsageError(f"{path}: expected a file to write, got a folder")
    if path.exists() and not options.force:
        raise UsageError(f"{path}: is there already, and is yours; --force begins again and replaces it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(kind.text(task), encoding="utf-8")
    elsewhere = f" --file {path}" if options.out else ""
    print(f"{path}: {task.title}")
    print(f"{kind.what_next(task, path)}: {kind.command} check {task.name}{elsewhere}")
    return 0


def check_command(kind: Kind[T], options: argparse.Namespace) -> int:
    """Grade the learner's file; returns 0 if it is right and 1 if not."""
    task = kind.named(options.name)
    path: Path = options.file or kind.file(task)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file; begin with: {kind.command} start {task.name}")
    with _progress() as tell:
        verdict = kind.check(task, path, options.more, lambda what: tell(f"{task.name}: {what}"))
    print(verdict.text)
    return 0 if verdict.right else NOT_RIGHT


def explain_command(options: argparse.Namespace) -> int:
    """Say what is wrong with an op."""
    from minicnn.study.exercises.bug_catalogue import bug_named
    from minicnn.study.exercises.bug_report import explanation_text

    print(explanation_text(bug_named(options.name)))
    return 0


@contextmanager
def _progress() -> Iterator[Tell]:
    """Show on a terminal what is being run, so that one sees which loop does not end."""
    from tqdm import tqdm

    with tqdm(bar_format="{desc}", leave=False, disable=None) as line:
        yield lambda what: line.set_description_str(f"{what} (Ctrl-C stops)")
