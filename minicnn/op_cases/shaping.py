"""Cases of the ops that only move elements: reshape, transpose, flatten, getitem, concat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, zeros
from minicnn.ops.concat import Concat
from minicnn.ops.shaping import GetItem, Reshape, Transpose
from minicnn.tensor import Tensor


def reshape_reference(x: np.ndarray, shape: Any) -> np.ndarray:
    """Count the elements in row-major order; the one of a number goes to where that number is."""
    known = math.prod(size for size in shape if size != -1)
    y = np.zeros([x.size // known if size == -1 else size for size in shape], x.dtype)
    for old, new in zip(np.ndindex(x.shape), np.ndindex(y.shape), strict=True):
        y[new] = x[old]
    return y


def flatten_reference(x: np.ndarray) -> np.ndarray:
    """Keep the first axis, and count the rest in row-major order."""
    return reshape_reference(x, (len(x), -1))


def transpose_reference(x: np.ndarray, axes: Any = ()) -> np.ndarray:
    """Let axis i of the result be axis axes[i] of the input."""
    order = [a % x.ndim for a in axes] or list(reversed(range(x.ndim)))
    y = np.zeros([x.shape[a] for a in order], x.dtype)
    for index in np.ndindex(x.shape):
        y[tuple(index[a] for a in order)] = x[index]
    return y


def getitem_reference(x: np.ndarray, index: Any) -> np.ndarray:
    """Pick the elements' numbers in row-major order, then the elements one by one."""
    numbers = np.asarray(np.arange(x.size).reshape(x.shape)[index])
    y = np.zeros(numbers.shape, x.dtype)
    for place in np.ndindex(y.shape):
        y[place] = x[np.unravel_index(numbers[place], x.shape)]
    return y


def concat_reference(*xs: np.ndarray, axis: int = -1) -> np.ndarray:
    """Write one array after the other."""
    axis %= xs[0].ndim
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    y = np.zeros(shape, np.result_type(*xs))
    start = 0
    for x in xs:
        for index in np.ndindex(x.shape):
            y[(*index[:axis], start + index[axis], *index[axis + 1 :])] = x[index]
        start += x.shape[axis]
    return y


def reshape(x: Tensor, shape: Any) -> Tensor:
    """Call reshape with the shape by keyword."""
    return F.reshape(x, shape)


def transpose(x: Tensor, axes: Any = ()) -> Tensor:
    """Call transpose with the axes by keyword."""
    return F.transpose(x, *axes)


def concat(*tensors: Tensor, axis: int = -1) -> Tensor:
    """Call concat with one argument a tensor."""
    return F.concat(tensors, axis)


def _reshape_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample("more axes", (rng.standard_normal((3, 4)),), {"shape": (2, 3, 2)}),
        Sample("a size to be worked out", (rng.standard_normal((2, 3, 2)),), {"shape": [3, -1]}),
        Sample("no axes", (rng.standard_normal((1, 1)),), {"shape": ()}),
        Sample("from no axes", (rng.standard_normal(()),), {"shape": (1, 1)}),
    ]


def _transpose_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample("two axes", (rng.standard_normal((3, 4)),)),
        Sample("a cycle of three", (rng.standard_normal((2, 3, 4)),), {"axes": (1, 2, 0)}),
        Sample("counted from the end", (rng.standard_normal((2, 3, 4)),), {"axes": (-1, 0, -2)}),
        Sample("one axis", (rng.standard_normal(3),), {"axes": (0,)}),
    ]


def _flatten_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample("images", (rng.standard_normal((3, 2, 2, 2)),)),
        Sample("vectors", (rng.standard_normal((2, 3)),)),
        Sample("numbers", (rng.standard_normal(3),)),
    ]


def _getitem_samples(rng: np.random.Generator) -> list[Sample]:
    indices: dict[str, Any] = {
        "a row": 1,
        "an element": (2, -1),
        "steps, backwards too": (slice(None, None, 2), slice(None, None, -1)),
        "a new axis and an ellipsis": (None, ..., 0),
        "rows, one of them twice": [0, 2, 0],
        "elements, one of them twice": ([0, 1, 0], [1, 3, 1]),
        "a mask": np.arange(12).reshape(3, 4) % 5 == 1,
        "nothing": slice(0, 0),
    }
    return [
        Sample(label, (rng.standard_normal((3, 4)),), {"index": index}) for label, index in indices.items()
    ]


def _concat_samples(rng: np.random.Generator) -> list[Sample]:
    def arrays(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        return tuple(rng.standard_normal(shape) for shape in shapes)

    return [
        Sample("channels", arrays((3, 2, 1, 1), (3, 2, 1, 3), (3, 2, 1, 2))),
        Sample("batches", arrays((2, 3), (1, 3)), {"axis": 0}),
        Sample("an axis in the middle", arrays((2, 1, 2), (2, 3, 2)), {"axis": -2}),
        Sample("only one", arrays((2, 3))),
        Sample("one of them empty", arrays((2, 2), (2, 0), (2, 1))),
    ]


_RESHAPE_ERRORS = (
    ErrorCase(
        "too few elements",
        lambda: F.reshape(zeros(2, 3), 4, 2),
        r"^reshape: shape: expected one with the 6 elements of shape \(2, 3\), got \(4, 2\)$",
    ),
    ErrorCase(
        "two sizes to be worked out",
        lambda: F.reshape(zeros(2, 3), -1, -1),
        r"^reshape: shape: expected one with the 6 elements of shape \(2, 3\), got \(-1, -1\)$",
    ),
    ErrorCase(
        "a size that cannot be worked out",
        lambda: F.reshape(zeros(2, 3), (4, -1)),
        r"^reshape: shape: expected one with the 6 elements of shape \(2, 3\), got \(4, -1\)$",
    ),
    ErrorCase(
        "fractional size",
        lambda: F.reshape(zeros(2, 3), 2.0, 3),
        r"^reshape: shape: expected a whole number, got 2\.0$",
    ),
)

_TRANSPOSE_ERRORS = (
    ErrorCase(
        "an axis twice",
        lambda: F.transpose(zeros(2, 3), 0, 0),
        r"^transpose: axes: expected each axis of shape \(2, 3\) once, got \(0, 0\)$",
    ),
    ErrorCase(
        "an axis left out",
        lambda: F.transpose(zeros(2, 3, 4), (1, 0)),
        r"^transpose: axes: expected each axis of shape \(2, 3, 4\) once, got \(1, 0\)$",
    ),
    ErrorCase(
        "no such axis",
        lambda: F.transpose(zeros(2, 3), 3, 0),
        r"^transpose: axis: expected an axis of shape \(2, 3\), got 3$",
    ),
)

_GETITEM_ERRORS = (
    ErrorCase(
        "beyond the end",
        lambda: F.getitem(zeros(2, 3), 2),
        r"^getitem: index: index 2 is out of bounds for axis 0 with size 2 \(shape \(2, 3\)\)$",
    ),
    ErrorCase(
        "too many indices",
        lambda: F.getitem(zeros(2, 3), (0, 0, 0)),
        r"^getitem: index: too many indices .* \(shape \(2, 3\)\)$",
    ),
    ErrorCase(
        "a word",
        lambda: F.getitem(zeros(2, 3), "first"),
        r"^getitem: index: only integers, slices .* \(shape \(2, 3\)\)$",
    ),
)

_CONCAT_ERRORS = (
    ErrorCase("nothing", lambda: F.concat([]), r"^concat: tensors: expected at least one, got none$"),
    ErrorCase(
        "other sizes differ",
        lambda: F.concat([zeros(2, 4, 4, 3), zeros(2, 4, 4, 5), zeros(2, 4, 3, 5)]),
        r"^concat: tensors: expected equal shapes except along axis 3, "
        r"got \(2, 4, 4, 3\) first and \(2, 4, 3, 5\) at position 2$",
    ),
    ErrorCase(
        "numbers of axes differ",
        lambda: F.concat([zeros(2, 3), zeros(2)], axis=1),
        r"^concat: tensors: expected equal shapes except along axis 1, got \(2, 3\) first and \(2,\) at",
    ),
    ErrorCase(
        "no such axis",
        lambda: F.concat([zeros(2, 3), zeros(2, 3)], axis=2),
        r"^concat: axis: expected an axis of shape \(2, 3\), got 2$",
    ),
    ErrorCase(
        "fractional axis",
        lambda: F.concat([zeros(2, 3)], axis=0.5),  # type: ignore[arg-type]
        r"^concat: axis: expected a whole number, got 0\.5$",
    ),
    ErrorCase(
        "mixed dtypes",
        lambda: F.concat([zeros(2), zeros(2, dtype=np.float32)]),
        r"^concat: expected tensors of one dtype, got float64 and float32; nothing is converted",
    ),
)

_FLATTEN_ERRORS = (
    ErrorCase("no axes", lambda: F.flatten(zeros()), r"^flatten: x: expected shape \(N, \.\.\.\), got \(\)$"),
)


CASES = (
    OpCase("reshape", reshape, reshape_reference, _reshape_samples, (Reshape,), _RESHAPE_ERRORS),
    OpCase("transpose", transpose, transpose_reference, _transpose_samples, (Transpose,), _TRANSPOSE_ERRORS),
    OpCase("flatten", F.flatten, flatten_reference, _flatten_samples, (Reshape,), _FLATTEN_ERRORS),
    OpCase("getitem", F.getitem, getitem_reference, _getitem_samples, (GetItem,), _GETITEM_ERRORS),
    OpCase("concat", concat, concat_reference, _concat_samples, (Concat,), _CONCAT_ERRORS),
)
