"""A learner's file: read it, and say in which of its lines something happened."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minicnn.errors import UsageError
from minicnn.study.exercises.exercise import Exercise


class Stopped(KeyboardInterrupt):
    """The user stopped what a learner wrote; says where it was."""


def load_names(path: Path) -> dict[str, Any]:
    """Run a learner's file; return what it defines.

    Raises
    ------
    UsageError
        If there is no such file, or it does not run.
    Stopped
        If the user stops it.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark at the beginning
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a Python file ({type(error).__name__})") from None
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    sys.path.insert(0, str(path.parent.absolute()))  # as python has it for the file it runs
    try:
        with running("while the file was being read", path):
            exec(compile(source, str(path), "exec"), names)
    except SyntaxError as error:
        place = f"{path}:{error.lineno}" if error.lineno else str(path)
        line = f" in: {error.text.strip()}" if error.text else ""
        raise UsageError(f"{place}: this is no Python: {error.msg}{line}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - what somebody else writes may raise anything
        raise UsageError(f"{describe(error, path)}, while the file was being read") from None
    finally:
        del sys.path[0]
    return names


def load_backward(exercise: Exercise, path: Path) -> Callable[..., Any]:
    """Return the function `backward` of a learner's file.

    Raises
    ------
    UsageError
        If there is none, or it does not take the arguments that the exercise gives it.
    """
    backward = load_names(path).get("backward")
    if not callable(backward):
        raise UsageError(f"{path}: there is no function `backward`; define {exercise.signature}")
    try:
        inspect.signature(backward).bind("gy", *exercise.arguments)
    except TypeError as error:
        raise UsageError(
            f"{path}: backward cannot be called as {exercise.signature} ({error}); "
            "use the arguments of the template"
        ) from None
    return backward


def describe(error: BaseException, path: Path | None) -> str:
    """Say what was raised, and by which line of the file."""
    place = _line(error, path)
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    return f"{place}: {text}" if place else text


@contextmanager
def running(
    what: str, path: Path | None, tell: Callable[[str], object] = lambda what: None
) -> Iterator[None]:
    """Tell what is run; should the user stop it, raise Stopped with that, and with the line of the file."""
    tell(what)
    try:
        yield
    except KeyboardInterrupt as error:
        place = _line(error, path) or (str(path) if path else "")
        raise Stopped(", ".join(filter(None, (place, what)))) from None


def _line(error: BaseException, path: Path | None) -> str:
    """Name the last line of the file that the error came through; nothing if it came through none."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if path is not None and frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else ""
