"""Reshaping and indexing give PyTorch's outputs and gradients."""

import itertools

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import functional as F
from parity.against_torch import check_op

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("shape", [(24,), (2, 12), (4, -1), (-1, 3, 2), (1, 24, 1), (2, 3, 4)], ids=str)
def test_reshape(shape, rng):
    values = rng.standard_normal((2, 3, 4))
    check_op("reshape", str(shape), lambda x: F.reshape(x, shape), lambda x: x.reshape(shape), [values], rng)
    check_op("reshape", f"*{shape}", lambda x: x.reshape(*shape), lambda x: x.reshape(*shape), [values], rng)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 4, 5)], ids=str)
def test_flatten(shape, rng):
    check_op(
        "flatten", str(shape), F.flatten, lambda x: x.reshape(len(x), -1), [rng.standard_normal(shape)], rng
    )


def test_every_transposition(rng):
    values = rng.standard_normal((2, 3, 4, 5))
    for axes in itertools.permutations(range(4)):
        check_op(
            "transpose",
            str(axes),
            lambda x, a=axes: F.transpose(x, *a),
            lambda x, a=axes: x.permute(a),
            [values],
            rng,
        )
    check_op("transpose", "reversed", F.transpose, lambda x: x.permute(3, 2, 1, 0), [values], rng)


MASK = np.random.default_rng(1).random((4, 5)) < 0.5
INDICES = [
    0,
    -1,
    (1, 2),
    (1, 2, -1),
    slice(1, 3),
    slice(None, None, 2),
    (slice(None), slice(1, 4, 3)),
    (Ellipsis, 1),
    (Ellipsis, slice(0, 2)),
    (0, Ellipsis, slice(1, None)),
    None,
    (slice(None), None, 2),
    [0, 0, 2],
    [0, -1, -1, 1],
    (slice(None), [4, 0, 0]),
    ([0, 1, 1], [2, 3, 3]),
    ([0, 1], slice(None), [2, 2]),
    (slice(None), [[0, 1], [1, 1]]),
    (2, [0, 0, 1], slice(1, 3)),
    MASK,
    (MASK, 1),
    (Ellipsis, np.array([True, False, True])),
    slice(2, 2),
]


@pytest.mark.parametrize("index", INDICES, ids=lambda index: str(index).replace("\n", ""))
def test_getitem(index, rng):
    values = rng.standard_normal((4, 5, 3))
    case = f"[{index}]".replace("\n", "")
    check_op("getitem", case, lambda x: x[index], lambda x: x[as_torch(index)], [values], rng)
    check_op("getitem", case, lambda x: F.getitem(x, index), lambda x: x[as_torch(index)], [values], rng)


def as_torch(index):
    """PyTorch wants arrays of its own as indices."""
    if isinstance(index, tuple):
        return tuple(as_torch(part) for part in index)
    return torch.tensor(index) if isinstance(index, list | np.ndarray) else index
