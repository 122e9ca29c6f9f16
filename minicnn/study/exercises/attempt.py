"""A learner's file: read it, call its `backward`, and make an op of it that the gradient checker can run."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import UsageError
from minicnn.study.exercises.exercise import Exercise
from minicnn.tensor import Function, Tensor, observe


class AttemptError(Exception):
    """What is wrong with what a learner's `backward` did; one line to read."""


class NotWritten(AttemptError):
    """`backward` raises NotImplementedError, as the template does."""


def load_names(path: Path) -> dict[str, Any]:
    """Run a learner's file; return what it defines.

    Raises
    ------
    UsageError
        If there is no such file, or it does not run.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark at the beginning
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a Python file ({type(error).__name__})") from None
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    sys.path.insert(0, str(path.parent.absolute()))  # as python has it for the file it runs
    try:
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
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if path is not None and frame.filename == str(path)]
    place = f"{path}:{lines[-1]}: " if lines else ""
    return f"{place}{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


class Attempt(Function):
    """An op whose forward is minicnn's own, and whose backward is a learner's.

    Parameters
    ----------
    exercise : Exercise
    backward : callable
        The learner's function.
    settings : mapping
        Those of the sample.
    path : Path, optional
        The learner's file, for the line in which something is raised.
    """

    def __init__(
        self,
        exercise: Exercise,
        backward: Callable[..., Any],
        settings: Mapping[str, Any],
        path: Path | None = None,
    ) -> None:
        self.name = exercise.name  # type: ignore[misc]
        self.exercise = exercise
        self.learners_backward = backward
        self.settings = settings
        self.path = path

    def forward(self, *arrays: np.ndarray) -> np.ndarray:
        """Return y by minicnn's own op; saves the inputs, y, and which way every ReLU and max went."""
        taken: list[np.ndarray] = []

        def note(function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            branches = function.branches()
            if branches is not None:
                taken.append(branches)

        with observe(note):
            y = self.exercise.case.function(*(Tensor(x, requires_grad=True) for x in arrays), **self.settings)
        self.save(arrays, y.data, taken)
        return y.data

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """Return what the learner's function returns, in the order of the inputs."""
        arrays, y, _ = self.saved
        returned = self.call(gy, self.exercise.values(arrays, self.settings, y))
        return tuple(self.by_name(returned, len(arrays)).values())

    def branches(self) -> np.ndarray | None:
        """Tell which way each ReLU and max went; of a single one in the shape of its output."""
        taken = self.saved[2]
        if len(taken) < 2:
            return taken[0] if taken else None
        return np.concatenate([branches.ravel() for branches in taken])

    def call(self, gy: np.ndarray, values: tuple[Any, ...]) -> Any:
        """Call the learner's function; what it raises becomes an AttemptError."""
        try:
            return self.learners_backward(gy, *values)
        except NotImplementedError as error:
            raise NotWritten(describe(error, self.path)) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a learner's function may raise anything
            given = zip(("gy", *self.exercise.arguments), (gy, *values), strict=True)
            shapes = ", ".join(f"{name} {_size(value)}" for name, value in given if _size(value))
            line = re.sub(r", with gufunc signature \S+", "", describe(error, self.path))
            raise AttemptError(f"{line} (shapes: {shapes})" if shapes else line) from None

    def by_name(self, returned: Any, inputs: int) -> dict[str, np.ndarray]:
        """Sort what was returned by the names of the gradients; raise AttemptError if it is not that."""
        names = self.exercise.gradient_names(inputs)
        if self.exercise.as_dict:
            gradients = self._of_dict(returned, names)
        elif len(names) == 1 and not isinstance(returned, (tuple, list)):
            gradients = {names[0]: returned}
        elif not isinstance(returned, (tuple, list)):
            raise AttemptError(
                f"backward has to return {', '.join(names)} as a tuple, it returns {_kind(returned)}"
            )
        elif len(returned) != len(names):
            count = f"{len(names)} gradient{'s' if len(names) > 1 else ''}"
            raise AttemptError(
                f"backward has to return {count}, {', '.join(names)}; "
                f"it returns a {type(returned).__name__} of {len(returned)}"
            )
        else:
            gradients = dict(zip(names, returned, strict=True))
        wanted = names[:inputs]
        return {name: _as_gradient(name, gradients[name]) for name in wanted}

    def _of_dict(self, returned: Any, names: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(returned, dict):
            raise AttemptError(f"backward has to return a dict of gradients, it returns {_kind(returned)}")
        missing = [name for name in names if name not in returned]
        if missing:
            raise AttemptError(f"the dict that backward returns lacks {', '.join(missing)}")
        return returned


def _size(value: Any) -> str:
    """Write the shape of an array, or the numbers in a tuple."""
    if isinstance(value, np.ndarray):
        return str(value.shape)
    return f"= {value}" if isinstance(value, (tuple, list)) else ""


def _kind(value: Any) -> str:
    """Say what was returned: nothing, an array of some shape, or something else."""
    if value is None:
        return "nothing: is there a return?"
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    return f"a {type(value).__name__}"


def _as_gradient(name: str, value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        raise AttemptError(f"{name} is a Tensor; backward works on NumPy arrays, and returns them")
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise AttemptError(f"{name} has to be an array of numbers, it is {_kind(value)}")
    return array
