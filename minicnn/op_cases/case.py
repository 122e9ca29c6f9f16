"""What an op case is, and values that suit one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minicnn.tensor import Function, Tensor


@dataclass(frozen=True)
class Sample:
    """One set of arguments for an op.

    Attributes
    ----------
    label : str
        What this sample is about. The word "ties" marks inputs that lie on a kink: there the gradient is
        a matter of convention, and difference quotients say nothing about it.
    inputs : tuple of array
        The differentiable arguments, float64.
    settings : dict
        The other arguments, by keyword.
    """

    label: str
    inputs: tuple[np.ndarray, ...]
    settings: dict[str, Any] = field(default_factory=dict)


class ErrorCase(NamedTuple):
    """Bad input, and what the error message has to say about it (a regular expression)."""

    description: str
    call: Callable[[], object]
    match: str


@dataclass(frozen=True)
class OpCase:
    """All that is needed to test one op.

    Attributes
    ----------
    name : str
        Name in `minicnn.functional`.
    function : callable
        The op, called as `function(*tensors, **settings)`.
    reference : callable
        The same in plain loops over NumPy arrays, called as `reference(*arrays, **settings)`. It also takes
        complex arrays, of which it compares real parts only: see `minicnn.op_cases`.
    samples : callable
        Draws the samples from a generator; the first is small enough for a full Jacobian.
    functions : tuple of Function classes
        What the op records in the graph.
    errors : tuple of ErrorCase
        Bad input.
    """

    name: str
    function: Callable[..., Tensor]
    reference: Callable[..., np.ndarray]
    samples: Callable[[np.random.Generator], list[Sample]]
    functions: tuple[type[Function], ...]
    errors: tuple[ErrorCase, ...]


def distinct(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw values of both signs that are at least 0.1 apart and 0.05 from zero: no kink is near."""
    size = math.prod(shape)
    return np.asarray((rng.permutation(size).reshape(shape) - size // 2 + 0.5) / 10)


def tied(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw from -1, 0 and 1, so that equal values abound."""
    return rng.integers(-1, 2, shape).astype(np.float64)


def zeros(*shape: int, dtype: Any = np.float64) -> Tensor:
    """Make a tensor for error cases, where the values do not matter."""
    return Tensor(np.zeros(shape, dtype))
