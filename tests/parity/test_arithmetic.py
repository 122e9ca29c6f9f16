"""Elementwise ops, reductions and matrix products give PyTorch's outputs and gradients."""

import operator

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import functional as F
from parity.against_torch import check_op

pytestmark = pytest.mark.parity

BROADCAST = [
    ((), ()),
    ((3,), ()),
    ((), (2, 3)),
    ((4,), (4,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((2, 3, 4, 5), (5,)),
    ((2, 1, 4, 1), (3, 1, 5)),
    ((1, 1), (3, 4)),
    ((2, 0), (2, 1)),
]
BINARY = {
    "add": (F.add, operator.add),
    "subtract": (F.subtract, operator.sub),
    "multiply": (F.multiply, operator.mul),
    "divide": (F.divide, operator.truediv),
    "power": (F.power, operator.pow),
}


@pytest.mark.parametrize("shapes", BROADCAST, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_binary(name, shapes, rng):
    ours, operation = BINARY[name]
    arrays = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    if name == "divide":
        arrays[1] = np.asarray(np.copysign(0.5 + abs(arrays[1]), arrays[1]))
    if name == "power":
        arrays[0] = np.asarray(0.1 + abs(arrays[0]))
    check_op(name, f"{shapes}", ours, operation, arrays, rng)
    check_op(name, f"operator, {shapes}", operation, operation, arrays, rng)


@pytest.mark.parametrize("number", [2, -3, 0.5, 0])
@pytest.mark.parametrize("name", BINARY)
def test_binary_with_a_number(name, number, rng):
    ours, operation = BINARY[name]
    values = 0.1 + abs(rng.standard_normal((3, 4)))
    if (name, number) != ("divide", 0):
        check_op(
            name, f"x and {number}", lambda x: ours(x, number), lambda x: operation(x, number), [values], rng
        )
    base = abs(number) if name == "power" else number
    check_op(name, f"{base} and x", lambda x: ours(base, x), lambda x: operation(base, x), [values], rng)
    check_op(name, f"{base} op x", lambda x: operation(base, x), lambda x: operation(base, x), [values], rng)


@pytest.mark.parametrize("name", BINARY)
def test_binary_with_an_operand_used_twice(name, rng):
    ours, operation = BINARY[name]
    values = 0.5 + abs(rng.standard_normal((2, 3)))
    check_op(name, "x and x + 1", lambda x: ours(x, x + 1), lambda x: operation(x, x + 1), [values], rng)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2])
def test_power_of_negative_numbers(exponent, rng):
    values = rng.standard_normal((3, 4))
    check_op("power", f"exponent {exponent}", lambda x: x**exponent, lambda x: x**exponent, [values], rng)


@pytest.mark.parametrize("exponent", [0, 1, 2, 2.5])
def test_power_at_zero(exponent, rng):
    values = np.array([0.0, 1.0, 0.0, 2.0])
    check_op("power", f"0 ** {exponent}", lambda x: x**exponent, lambda x: x**exponent, [values], rng)


def test_power_of_zero_as_a_tensor(rng):
    arrays = [np.array([0.0, 0.0, 2.0, 1.0]), np.array([2.0, 1.0, 0.0, 0.0])]
    check_op("power", "zeros on both sides", F.power, torch.pow, arrays, rng)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize(
    ("name", "theirs"), [("exp", "exp"), ("log", "log"), ("sqrt", "sqrt"), ("negate", "neg")]
)
def test_unary(name, theirs, shape, rng):
    values = np.asarray(0.1 + abs(rng.standard_normal(shape)))
    check_op(name, str(shape), getattr(F, name), getattr(torch, theirs), [values], rng)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0,), (0, 2), (2, 0), (-1, 1), (0, 1, 2, 3)], ids=str)
@pytest.mark.parametrize(("name", "theirs"), [("sum", "sum"), ("mean", "mean"), ("max", "amax")])
def test_reductions(name, theirs, axis, keepdims, rng):
    values = rng.standard_normal((2, 3, 4, 5))  # no two alike: amax would share the gradient between ties
    all_axes = tuple(range(values.ndim)) if axis is None else axis
    check_op(
        name,
        f"axis {axis}, keepdims {keepdims}",
        lambda x: getattr(F, name)(x, axis, keepdims),
        lambda x: getattr(torch, theirs)(x, all_axes, keepdim=keepdims),
        [values],
        rng,
    )


MATRICES = [
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((1, 1), (1, 1)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((3, 1, 3, 4), (1, 2, 4, 2)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4,)),
    ((200, 300), (300, 250)),
]


@pytest.mark.parametrize("shapes", MATRICES, ids=str)
def test_matmul(shapes, rng):
    arrays = [rng.standard_normal(shape) for shape in shapes]
    check_op("matmul", str(shapes), F.matmul, torch.matmul, arrays, rng)
    check_op("matmul", f"operator, {shapes}", operator.matmul, operator.matmul, arrays, rng)
