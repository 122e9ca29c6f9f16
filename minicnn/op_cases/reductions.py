"""Cases of sum, mean and max."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, distinct, tied, zeros
from minicnn.ops.reductions import Max, Mean, Sum
from minicnn.tensor import Function, Tensor


def reduction_reference(reduce: Callable[[list[Any]], Any]) -> Callable[..., np.ndarray]:
    """Make the reference that collects, row by row, what falls on each element of the result."""

    def reference(x: np.ndarray, axis: Any = None, keepdims: bool = False) -> np.ndarray:
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
        reduced = {a % x.ndim for a in axes}
        kept_shape = tuple(1 if i in reduced else size for i, size in enumerate(x.shape))
        collected: dict[tuple[int, ...], list[Any]] = {index: [] for index in np.ndindex(kept_shape)}
        for index in np.ndindex(x.shape):
            collected[tuple(0 if i in reduced else place for i, place in enumerate(index))].append(x[index])
        y = np.zeros(kept_shape, x.dtype)
        for index, values in collected.items():
            y[index] = reduce(values)
        return y if keepdims else y.reshape([size for i, size in enumerate(x.shape) if i not in reduced])

    return reference


def _total(values: list[Any]) -> Any:
    total = 0
    for value in values:
        total += value
    return total


def _reduction_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample("all", (distinct(rng, 3, 4),)),
        Sample("an axis", (distinct(rng, 2, 3, 2),), {"axis": 1}),
        Sample("the last axis, kept", (distinct(rng, 2, 3),), {"axis": -1, "keepdims": True}),
        Sample("two axes", (distinct(rng, 2, 3, 4),), {"axis": (2, 0)}),
        Sample("two axes, kept", (distinct(rng, 2, 3, 4),), {"axis": [1, -1], "keepdims": True}),
        Sample("no axis of two", (distinct(rng, 2, 3),), {"axis": ()}),
        Sample("all, kept", (distinct(rng, 2, 3),), {"keepdims": True}),
        Sample("no axes to reduce", (distinct(rng),)),
        Sample("one element", (distinct(rng, 1, 1),), {"axis": 0}),
    ]


def _max_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        *_reduction_samples(rng),
        Sample("all negative", (distinct(rng, 3, 4) - 10,), {"axis": 0}),
        Sample("ties", (tied(rng, 4, 5),), {"axis": 1}),
        Sample("ties, and the axes are not in order", (tied(rng, 3, 2, 4),), {"axis": (2, 0)}),
    ]


def _reduction_errors(name: str, function: Any, takes_nothing: bool) -> tuple[ErrorCase, ...]:
    errors = (
        ErrorCase(
            "no such axis",
            lambda: function(zeros(2, 3), axis=2),
            rf"^{name}: axis: expected an axis of shape \(2, 3\), got 2$",
        ),
        ErrorCase(
            "no such axis, from the end",
            lambda: function(zeros(2, 3), axis=-3),
            rf"^{name}: axis: expected an axis of shape \(2, 3\), got -3$",
        ),
        ErrorCase(
            "an axis twice",
            lambda: function(zeros(2, 3), axis=(1, -1)),
            rf"^{name}: axis: expected distinct axes of shape \(2, 3\), got \(1, -1\)$",
        ),
        ErrorCase(
            "fractional axis",
            lambda: function(zeros(2, 3), axis=1.0),
            rf"^{name}: axis: expected a whole number, got 1\.0$",
        ),
    )
    nothing = ErrorCase(
        "nothing to reduce",
        lambda: function(zeros(2, 0), axis=1),
        rf"^{name}: x: expected at least one element to reduce, got shape \(2, 0\)$",
    )
    return errors if takes_nothing else (*errors, nothing)


def _reduction_case(
    name: str,
    function: Callable[..., Tensor],
    reduce: Callable[[list[Any]], Any],
    recorded: type[Function],
    samples: Callable[[np.random.Generator], list[Sample]] = _reduction_samples,
) -> OpCase:
    errors = _reduction_errors(name, function, takes_nothing=name == "sum")
    return OpCase(name, function, reduction_reference(reduce), samples, (recorded,), errors)


CASES = (
    _reduction_case("sum", F.sum, _total, Sum),
    _reduction_case("mean", F.mean, lambda values: _total(values) / len(values), Mean),
    # Python's max returns the first of equal values: that one gets the gradient.
    _reduction_case("max", F.max, lambda values: max(values, key=lambda v: v.real), Max, _max_samples),
)
