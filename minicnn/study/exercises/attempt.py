"""A learner's `backward`: call it, and make an op of it that the gradient checker can run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import MinicnnError
from minicnn.study.exercises.exercise import Exercise
from minicnn.study.exercises.learners_file import describe
from minicnn.tensor import Function, Tensor, observe


class AttemptError(Exception):
    """What is wrong with what a learner's `backward` did; one line to read."""


class NotWritten(AttemptError):
    """`backward` raises NotImplementedError, as the template does."""


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
        except MinicnnError as error:  # which names the shapes that matter
            raise AttemptError(describe(error, self.path)) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a learner's function may raise anything
            given = zip(("gy", *self.exercise.arguments), (gy, *values), strict=True)
            shapes = ", ".join(f"{name} {_size(value)}" for name, value in given if _size(value))
            line = re.sub(r", with gufunc signature \S+", "", describe(error, self.path))
            raise AttemptError(f"{line} (shapes: {shapes})" if shapes else line) from None

    def by_name(self, returned: Any, inputs: int) -> dict[str, np.ndarray]:
        """Sort what was returned by the names of the gradients; raise AttemptError if it is not that."""
        names = self.exercise.gradient_names(inputs)
        if returned is None:
            raise AttemptError(f"backward returns nothing, {', '.join(names)} expected: is there a return?")
        if self.exercise.as_dict:
            gradients = self._of_dict(returned, names)
        elif len(names) == 1 and not isinstance(returned, (tuple, list)):
            gradients = {names[0]: returned}
        elif not isinstance(returned, (tuple, list)):
            raise AttemptError(
                f"backward has to return {', '.join(names)} as a tuple or list, it returns {_kind(returned)}"
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
    """Say what was returned: an array of some shape, or something else."""
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    return f"a {type(value).__name__}"


def _as_gradient(name: str, value: Any) -> np.ndarray:
    if value is None:
        raise AttemptError(f"{name} is None")
    if isinstance(value, Tensor):
        raise AttemptError(f"{name} is a Tensor; backward works on NumPy arrays, and returns them")
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise AttemptError(f"{name} has to be an array of numbers, it is {_kind(value)}")
    return array
