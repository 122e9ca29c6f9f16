"""Activations, softmax and the cross-entropy give PyTorch's outputs and gradients."""

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import Tensor
from minicnn import functional as F
from parity.against_torch import check_op

pytestmark = pytest.mark.parity

SHAPES = [(), (7,), (3, 4), (2, 3, 5, 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_activations(name, shape, rng):
    values = np.asarray(3 * rng.standard_normal(shape))
    check_op(name, str(shape), getattr(F, name), getattr(torch, name), [values], rng)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_activations_at_zero_and_far_out(name, rng):
    values = np.array([0.0, -0.0, 1e-300, -1e-300, 20.0, -20.0, 700.0, -700.0, 1e4, -1e4])
    check_op(name, "zero and far out", getattr(F, name), getattr(torch, name), [values], rng)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    ("shape", "axis"), [((6,), 0), ((3, 5), -1), ((3, 5), 0), ((2, 3, 4, 5), 1), ((4, 1), 1)]
)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, shape, axis, scale, rng):
    check_op(
        name,
        f"{shape} along {axis}, scale {scale}",
        lambda x: getattr(F, name)(x, axis),
        lambda x: getattr(torch, name)(x, axis),
        [scale * rng.standard_normal(shape)],
        rng,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("scale", [1.0, 50.0, 1e4])
@pytest.mark.parametrize(("samples", "classes"), [(1, 1), (1, 5), (7, 2), (32, 10), (16, 1000)])
def test_cross_entropy(samples, classes, scale, reduction, rng):
    labels = rng.integers(0, classes, samples)
    check_op(
        "cross_entropy",
        f"{samples} of {classes} classes, scale {scale}, {reduction}",
        lambda x: F.cross_entropy(x, labels, reduction),
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(labels), reduction=reduction),
        [scale * rng.standard_normal((samples, classes))],
        rng,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_large_float32_logits_is_exact(reduction):
    """Logits of 1e4: every loss and gradient is a number that float32 holds."""
    values = 1e4 * np.array([[1, 0, -1], [0, 1, -1], [-1, 1, 0], [1, -1, 0]], np.float32)
    labels = np.array([0, 0, 0, 1])
    logits = Tensor(values, requires_grad=True)
    reference = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    loss = F.cross_entropy(logits, labels, reduction)
    expected = torch.nn.functional.cross_entropy(reference, torch.tensor(labels), reduction=reduction)
    loss.backward(np.ones(loss.shape, np.float32))
    expected.backward(torch.ones_like(expected))
    assert loss.dtype == logits.grad.dtype == np.float32
    np.testing.assert_array_equal(loss.data, expected.detach().numpy())
    np.testing.assert_array_equal(logits.grad, reference.grad.numpy())
    if reduction == "none":
        np.testing.assert_array_equal(loss.data, [0, 1e4, 2e4, 2e4])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_float32_logits(reduction, rng):
    """As close to PyTorch's float64 as float32 can hold it, at any size of the logits."""
    for scale in (1.0, 100.0, 1e4):
        values = (scale * rng.standard_normal((64, 10))).astype(np.float32)
        labels = rng.integers(0, 10, 64)
        expected = torch.nn.functional.cross_entropy(
            torch.tensor(values, dtype=torch.float64), torch.tensor(labels), reduction=reduction
        )
        loss = F.cross_entropy(Tensor(values), labels, reduction)
        np.testing.assert_allclose(loss.data, expected.numpy(), rtol=1e-6, atol=1e-6)
