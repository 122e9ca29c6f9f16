"""Run a function on tensors and note what happened: every op, and which branch every ReLU and max took.

Everything runs composed: each op of the diagram is a node of its own, so that a finding names one op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from minicnn.backend import Array, to_numpy
from minicnn.errors import DTypeError, UsageError
from minicnn.tensor import Function, Tensor, composed, observe


class Step(NamedTuple):
    """One op as it was run."""

    function: Function
    inputs: tuple[Tensor, ...]
    output: Tensor


class Choice(NamedTuple):
    """Which way each element went in one op with kinks."""

    op: str
    module_path: str
    branches: np.ndarray


class Place(NamedTuple):
    """Where two runs took different branches: the op, and the element of its output."""

    op: str
    module_path: str
    element: tuple[int, ...]


class Run(NamedTuple):
    """What one evaluation gave."""

    output: Tensor
    choices: list[Choice]


def run(fn: Callable[..., Tensor], tensors: Sequence[Tensor], steps: list[Step] | None = None) -> Run:
    """Call `fn(*tensors)`; note the branches taken and, in `steps` if it is given, the recorded ops."""
    choices = []

    def note(function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        branches = function.branches()
        if branches is not None:
            choices.append(Choice(function.name, function.module_path, to_numpy(branches)))
        if steps is not None and function.is_recorded:
            steps.append(Step(function, inputs, output))

    with composed(), observe(note):
        output = fn(*tensors)
    if not isinstance(output, Tensor):
        raise UsageError(
            f"gradcheck: fn: expected it to return a Tensor, got {type(output).__name__}; "
            "return one of its tensors, or combine them into one"
        )
    if output.dtype != np.float64:
        raise DTypeError(
            f"gradcheck: fn: expected it to return float64, got {output.dtype}; "
            "does it convert something, or use a module that is not float64 (module.astype(np.float64))?"
        )
    return Run(output, choices)


def first_difference(a: list[Choice], b: list[Choice]) -> Place | None:
    """Return where two runs first took different branches, or None if they took the same everywhere."""
    for one, other in zip(a, b, strict=False):
        if one[:2] != other[:2] or one.branches.shape != other.branches.shape:
            return Place(one.op, one.module_path, ())
        if not np.array_equal(one.branches, other.branches):
            element = np.argwhere(one.branches != other.branches)[0]
            return Place(one.op, one.module_path, tuple(map(int, element)))
    if len(a) != len(b):  # fn itself branched, and ran more ops on one side
        extra = max(a, b, key=len)[min(len(a), len(b))]
        return Place(extra.op, extra.module_path, ())
    return None


@contextmanager
def private_leaves(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Turn tensors into leaves with data of their own, which may be changed in place; undo it at the end.

    The tensors themselves are used, no copies of them: `fn` may be a closure around a network whose
    parameters are being checked, and look at no argument at all.
    """
    before = [(t, t.data, t.grad, t.requires_grad, t.creator, t.retains_grad) for t in dict.fromkeys(tensors)]
    try:
        for t, data, *_ in before:
            t.data = data.copy(order="K")
            t.grad, t.requires_grad, t.creator, t.retains_grad = None, True, None, False
        yield
    finally:
        for t, data, grad, requires_grad, creator, retains_grad in before:
            t.data, t.grad, t.requires_grad = data, grad, requires_grad
            t.creator, t.retains_grad = creator, retains_grad


def backward_gradients(
    output: Tensor, cotangent: Array, tensors: Sequence[Tensor], steps: list[Step]
) -> list[Array]:
    """Return what `backward` says about each of `tensors`, leaving the `grad` of all other leaves alone."""
    leaves = {t for step in steps for t in step.inputs if t.creator is None and t.requires_grad}
    others = [(leaf, leaf.grad) for leaf in leaves.difference(tensors)]
    if output.requires_grad:  # otherwise it depends on nothing, and all gradients are zero
        output.backward(cotangent)
    for leaf, grad in others:
        leaf.grad = grad
    return [np.zeros(t.shape) if t.grad is None else to_numpy(t.grad) for t in tensors]
