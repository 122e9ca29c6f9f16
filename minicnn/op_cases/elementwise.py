"""Cases of the ops that treat every element alike: arithmetic, activations, exp, log, sqrt, dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, distinct, tied, zeros
from minicnn.ops.arithmetic import Add, Divide, Multiply, Negate, Power, Subtract
from minicnn.ops.dropout import Dropout
from minicnn.ops.elementwise import Exp, Log, Sqrt
from minicnn.ops.relu import ReLU
from minicnn.ops.sigmoid import Sigmoid
from minicnn.ops.tanh import Tanh
from minicnn.tensor import Function, Tensor


def of_one(formula: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Make the reference that applies `formula` to one element after the other."""

    def reference(x: np.ndarray) -> np.ndarray:
        y = np.zeros(x.shape, x.dtype)
        for index in np.ndindex(x.shape):
            y[index] = formula(x[index])
        return y

    return reference


def of_two(formula: Callable[[Any, Any], Any]) -> Callable[[Any, Any], np.ndarray]:
    """Make the reference that applies `formula` to one pair of elements after the other, broadcasting."""

    def reference(a: Any, b: Any) -> np.ndarray:
        a, b = np.asarray(a), np.asarray(b)
        shape = np.broadcast_shapes(a.shape, b.shape)
        y = np.zeros(shape, np.result_type(a, b))
        for index in np.ndindex(shape):
            y[index] = formula(a[_place(index, a.shape)], b[_place(index, b.shape)])
        return y

    return reference


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Find the element of an operand of `shape` that meets `index` of the result."""
    last = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(last, shape, strict=True))


def _pairs(first: Callable[..., np.ndarray], second: Callable[..., np.ndarray]) -> list[Sample]:
    """Pair operands drawn by `first` and `second`, with every kind of broadcasting."""
    return [
        Sample("equal shapes", (first(3, 4), second(3, 4))),
        Sample("each stretched", (first(3, 1, 4), second(5, 1))),
        Sample("a row", (first(2, 3, 2), second(2))),
        Sample("a column", (first(2, 1), second(3, 2, 4))),
        Sample("all stretched, none added", (first(1, 1), second(2, 3))),
        Sample("no axes", (first(), second())),
        Sample("no axes against two", (first(), second(2, 3))),
        Sample("a number on the right", (first(2, 3),), {"b": 3}),
        Sample("an array on the right", (first(2, 3),), {"b": np.array([1.5, -0.5, 2.0])}),
    ]


def _binary_case(
    name: str,
    function: Callable[..., Tensor],
    formula: Callable[[Any, Any], Any],
    recorded: type[Function],
    samples: Callable[[np.random.Generator], list[Sample]],
) -> OpCase:
    errors = (
        ErrorCase(
            "shapes that do not broadcast",
            lambda: function(zeros(2, 3), zeros(3, 2)),
            rf"^{name}: expected shapes that broadcast to one, got \(2, 3\) and \(3, 2\)$",
        ),
        ErrorCase(
            "mixed dtypes",
            lambda: function(zeros(2), zeros(2, dtype=np.float32)),
            rf"^{name}: expected tensors of one dtype, got float64 and float32; nothing is converted",
        ),
        ErrorCase(
            "nothing",
            lambda: function(zeros(2), None),
            rf"^{name}: expected a tensor, a number or an array of numbers, got NoneType$",
        ),
        ErrorCase(
            "a word",
            lambda: function("two", zeros(2)),
            rf"^{name}: expected a tensor, a number or an array of numbers, got str$",
        ),
        ErrorCase(
            "a fraction for whole numbers",
            lambda: function(zeros(2, dtype=np.int64), 0.5),
            rf"^{name}: expected whole numbers for a tensor of dtype int64, got float$",
        ),
        ErrorCase(
            "no tensor at all",
            lambda: function(np.zeros(2), 1),
            rf"^{name}: expected at least one Tensor, got ndarray and int$",
        ),
    )
    return OpCase(name, function, of_two(formula), samples, (recorded,), errors)


def _any_pairs(rng: np.random.Generator) -> list[Sample]:
    return _pairs(lambda *shape: rng.standard_normal(shape), lambda *shape: rng.standard_normal(shape))


def _divide_pairs(rng: np.random.Generator) -> list[Sample]:
    return _pairs(
        lambda *shape: rng.standard_normal(shape), lambda *shape: np.asarray(10 * distinct(rng, *shape))
    )


def _power_pairs(rng: np.random.Generator) -> list[Sample]:
    return [
        *_pairs(lambda *shape: rng.uniform(0.5, 2, shape), lambda *shape: rng.standard_normal(shape)),
        Sample("whole exponent, bases of both signs", (distinct(rng, 2, 3),), {"b": 3}),
        Sample("exponent zero, a base of zero too", (np.array([-2.0, 0.0, 3.0]),), {"b": 0}),
        Sample("exponent one, a base of zero too", (np.array([-2.0, 0.0, 3.0]),), {"b": 1}),
        Sample("negative exponent", (distinct(rng, 2, 3),), {"b": -2}),
    ]


def _unary_case(
    name: str,
    function: Callable[[Tensor], Tensor],
    formula: Callable[[Any], Any],
    recorded: type[Function],
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray],
    extra: Callable[[np.random.Generator], list[Sample]] = lambda rng: [],
    takes_integers: bool = False,
) -> OpCase:
    def samples(rng: np.random.Generator) -> list[Sample]:
        shapes = {"images": (3, 2, 2, 2), "a vector": (5,), "no axes": (), "an axis of zero": (2, 0, 3)}
        return [*(Sample(label, (draw(rng, shape),)) for label, shape in shapes.items()), *extra(rng)]

    no_tensor = ErrorCase(
        "an array",
        lambda: function(np.zeros(2)),  # type: ignore[arg-type]
        rf"^{name}: expected tensors, got ndarray; wrap it: Tensor\(\.\.\.\)$",
    )
    integers = ErrorCase(
        "integers",
        lambda: function(zeros(2, dtype=np.int64)),
        rf"^{name}: expected floating-point numbers, got int64; ",
    )
    errors = (no_tensor,) if takes_integers else (no_tensor, integers)
    return OpCase(name, function, of_one(formula), samples, (recorded,), errors)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(2 * rng.standard_normal(shape))


def _positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.uniform(0.5, 3, shape))


def _off_kinks(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return distinct(rng, *shape)


def _logistic(x: Any) -> Any:
    """Compute 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + np.exp(-x)) if x.real > 0 else np.exp(x) / (1 + np.exp(x))


def seeded_dropout(x: Tensor, p: float, training: bool, seed: int) -> Tensor:
    """Call dropout with a generator made from `seed`, so that each call drops the same elements."""
    return F.dropout(x, p, training, np.random.default_rng(seed))


def dropout_reference(x: np.ndarray, p: float, training: bool, seed: int) -> np.ndarray:
    """Throw a die for each element in turn; scale those that stay, so that the mean stays."""
    y = np.zeros(x.shape, x.dtype)
    thrown = np.random.default_rng(seed).random(x.shape, dtype=np.float32)
    for index in np.ndindex(x.shape):
        if not training:
            y[index] = x[index]
        elif thrown[index] >= p:
            y[index] = x[index] / (1 - p)
    return y


def _dropout_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample(label, (rng.standard_normal((4, 3, 2)),), {"p": p, "training": training, "seed": 7})
        for label, p, training in (
            ("the main classifier's", 0.4, True),
            ("the heads'", 0.7, True),
            ("keeps everything", 0.0, True),
            ("drops everything", 1.0, True),
            ("at inference", 0.4, False),
        )
    ]


_DROPOUT_ERRORS = (
    ErrorCase(
        "more than certain",
        lambda: F.dropout(zeros(2), 1.1),
        r"^dropout: p: expected a probability to drop, from 0 to 1, got 1\.1$",
    ),
    ErrorCase(
        "negative, at inference too",
        lambda: F.dropout(zeros(2), -0.1, training=False),
        r"^dropout: p: expected a probability to drop, from 0 to 1, got -0\.1$",
    ),
    ErrorCase(
        "not a number",
        lambda: F.dropout(zeros(2), float("nan")),
        r"^dropout: p: expected a probability to drop, from 0 to 1, got nan$",
    ),
    ErrorCase(
        "integers",
        lambda: F.dropout(zeros(2, dtype=np.uint8)),
        r"^dropout: expected floating-point numbers, got uint8",
    ),
)


CASES = (
    _binary_case("add", F.add, lambda a, b: a + b, Add, _any_pairs),
    _binary_case("subtract", F.subtract, lambda a, b: a - b, Subtract, _any_pairs),
    _binary_case("multiply", F.multiply, lambda a, b: a * b, Multiply, _any_pairs),
    _binary_case("divide", F.divide, lambda a, b: a / b, Divide, _divide_pairs),
    _binary_case("power", F.power, lambda a, b: a**b, Power, _power_pairs),
    _unary_case("negate", F.negate, lambda x: -x, Negate, _normal, takes_integers=True),
    _unary_case(
        "relu",
        F.relu,
        lambda x: x if x.real > 0 else 0,
        ReLU,
        _off_kinks,
        lambda rng: [Sample("ties with zero", (tied(rng, 3, 4),))],
        takes_integers=True,
    ),
    _unary_case(
        "sigmoid",
        F.sigmoid,
        _logistic,
        Sigmoid,
        _normal,
        lambda rng: [Sample("far out", (np.array([-1000.0, -40.0, 0.0, 40.0, 1000.0]),))],
    ),
    _unary_case("tanh", F.tanh, np.tanh, Tanh, _normal),
    _unary_case("exp", F.exp, np.exp, Exp, _normal),
    _unary_case("log", F.log, np.log, Log, _positive),
    _unary_case("sqrt", F.sqrt, np.sqrt, Sqrt, _positive),
    OpCase("dropout", seeded_dropout, dropout_reference, _dropout_samples, (Dropout,), _DROPOUT_ERRORS),
)
