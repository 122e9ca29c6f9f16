"""`detect_anomaly()`: stop at the first op whose numbers are not finite, and say where it was called.

A NaN spreads: seen in the loss, it may come from anywhere. Inside the block every output is looked at as
soon as it is there, and in the backward pass every gradient, so the first one found is where it began.
"""

from __future__ import annotations

import inspect
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.errors import AnomalyError
from minicnn.tensor import Function, Observer, Tensor, observed_by

HERE = os.path.dirname(__file__) + os.sep  # minicnn.models lies elsewhere in a checkout


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise an error at the first op, in this thread and inside the block, whose numbers are not finite.

    That is an op whose output holds an infinity or a NaN, or whose backward pass gives one. The error names
    the op and its module, which output or gradient it is, the first place in it, and the line outside of
    minicnn that called the op, for a gradient too. No result changes, so what went wrong goes wrong again in
    the same way; for the single ops of the network's diagram (instead of fused ones), add `composed()`.

    Raises
    ------
    AnomalyError
        Inside the block.

    Notes
    -----
    Every array is read once more, and on a GPU each op is waited for. NumPy's own warnings of overflow and
    division by zero are silent inside the block: it says more.

    References
    ----------
    PyTorch's `torch.autograd.detect_anomaly`, which looks at gradients only, and for NaN only.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import Tensor, detect_anomaly
    >>> x = Tensor(np.array([4.0, 0.0]), requires_grad=True)
    >>> with detect_anomaly():
    ...     x.sqrt().sum().backward()
    Traceback (most recent call last):
    minicnn.errors.AnomalyError: the gradient of x in sqrt is inf at [1] (1 of 2 numbers is not finite); \
the gradient it was given and its inputs are finite; the op was called at \
<doctest minicnn.anomaly.detect_anomaly[3]>:2
    """
    with np.errstate(all="ignore"), observed_by(_AnomalyDetector()):
        yield


class _Call(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class _AnomalyDetector(Observer):
    def __init__(self) -> None:
        self.calls: weakref.WeakKeyDictionary[Function, _Call | None] = weakref.WeakKeyDictionary()
        # Of the walk under way: an op that uses each leaf, and as what.
        self.leaves: dict[Tensor, tuple[Function, str]] = {}

    def after_forward(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        call = _users_call()
        if function.is_recorded:
            self.calls[function] = call
        if not is_finite(output.data):
            raise _anomaly(function.title, "the output of", output.data, _state_of(function, inputs), call)

    def before_walk(self) -> None:
        self.leaves.clear()

    def before_backward(self, function: Function, gy: Array) -> None:
        if not is_finite(gy):
            why = "backward() was given it, or it is a sum of finite gradients and too large"
            raise self._of_gradient(function, "its output", gy, why)

    def after_backward(self, function: Function, gy: Array, gradients: tuple[Array | None, ...]) -> None:
        names = _argument_names(function)
        for name, tensor, wanted, gradient in zip(
            names, function.inputs, function.needs_gradient, gradients, strict=True
        ):
            if not wanted or gradient is None:
                continue
            if not is_finite(gradient):
                inputs = _state_of(function, function.inputs)
                raise self._of_gradient(function, name, gradient, f"the gradient it was given and {inputs}")
            if tensor.creator is None:
                self.leaves[tensor] = function, name

    def after_walk(self) -> None:
        for leaf, (function, name) in self.leaves.items():
            if leaf.grad is not None and not is_finite(leaf.grad):
                raise self._of_gradient(
                    function, name, leaf.grad, "it is a sum of finite gradients and too large"
                )
        self.leaves.clear()

    def _of_gradient(self, function: Function, name: str, gradient: Array, why: str) -> AnomalyError:
        return _anomaly(function.title, f"the gradient of {name} in", gradient, why, self.calls.get(function))


def is_finite(array: Array) -> bool:
    """Say whether all numbers of an array are finite."""
    return bool(array_module(array).isfinite(array).all())


def _anomaly(title: str, what: str, array: Array, why: str, call: _Call | None) -> AnomalyError:
    """Put in words where the first number is that is not finite."""
    bad = ~array_module(array).isfinite(array)
    count = int(bad.sum())
    first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    value = float(array[first])
    place = f" at [{', '.join(map(str, first))}]" if first else ""
    counted = (
        f" ({count:,} of {bad.size:,} numbers {'is' if count == 1 else 'are'} not finite)" if first else ""
    )
    where = f"; the op was called at {call}" if call else ""
    origin = title if what == "the output of" else f"{what} {title}"
    return AnomalyError(f"{what} {title} is {value}{place}{counted}; {why}{where}", origin)


def _state_of(function: Function, inputs: tuple[Tensor, ...]) -> str:
    """Say whether an op was to blame, or got such numbers from somewhere that nobody looked at."""
    for name, tensor in zip(_argument_names(function), inputs, strict=True):
        if not is_finite(tensor.data):
            which = name if name.startswith("input ") else f"input {name}"
            return f"its {which} was not finite already, and no op gave it inside detect_anomaly()"
    return "its inputs are finite"


def _argument_names(function: Function) -> list[str]:
    """Name the inputs as `forward` does; number those of an op that takes any number of them."""
    names: list[str] = []
    count = len(function.needs_gradient)
    for parameter in list(inspect.signature(type(function).forward).parameters.values())[1:]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"input {place}" for place in range(len(names), count)]
        else:
            names.append(parameter.name)
    return names[:count]


def _users_call() -> _Call | None:
    """Find the line outside of minicnn that led here; None if it was the command line that did."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("minicnn.cli"):
            return None
        file = frame.f_code.co_filename
        if not file.startswith(HERE) and not module.startswith("minicnn.models"):
            return _Call(file, frame.f_lineno)
        frame = frame.f_back
    return None
