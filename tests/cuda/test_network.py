"""Whole networks on a GPU against the CPU."""

from contextlib import nullcontext

import numpy as np
import pytest

from minicnn import Tensor, composed, models, no_kernels
from minicnn.backend import to_device, to_numpy
from minicnn.nn import Dropout


def run(network, images, labels, device):
    for _, module in network.named_modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    network.to(device).zero_grad()
    x = Tensor(to_device(images, device), requires_grad=True)
    out = network(x)
    loss = models.total_loss(out, labels)
    loss.backward()
    gradients = {name: to_numpy(p.grad) for name, p in network.named_parameters()}
    return [to_numpy(logits.data) for logits in out], {**gradients, "x": to_numpy(x.grad)}


@pytest.mark.parametrize("path", [nullcontext, no_kernels, composed], ids=["kernels", "arrays", "composed"])
def test_googlenet_cifar(gpu, rng, path):
    network = models.googlenet_cifar(width=0.25, rng=np.random.default_rng(0)).astype(np.float64)
    images, labels = rng.normal(size=(2, 32, 32, 3)), np.array([3, 8])
    expected_logits, expected = run(network, images, labels, "cpu")
    with path():
        logits, gradients = run(network, images, labels, gpu)
    for ours, other in zip(logits, expected_logits, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-12)
    for name, gradient in gradients.items():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-8, atol=1e-11 * scale, err_msg=name)


def test_float32_stays_close_and_eval_mode_works(gpu, rng):
    network = models.googlenet_cifar(width=0.25, rng=np.random.default_rng(0))
    images = rng.normal(size=(3, 32, 32, 3)).astype(np.float32)
    expected = network.eval()(Tensor(images)).logits.numpy()
    logits = network.to(gpu)(Tensor(images).to(gpu)).logits.numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)
    one = network(Tensor(images[:1]).to(gpu)).logits.numpy()
    np.testing.assert_allclose(one, expected[:1], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.gpu
def test_googlenet_at_224(rng):
    network = models.googlenet(num_classes=10, rng=np.random.default_rng(0))
    images, labels = rng.normal(size=(2, 224, 224, 3)).astype(np.float32), np.array([3, 8])
    _, expected = run(network, images, labels, "cpu")
    _, gradients = run(network, images, labels, "cuda")
    for name, gradient in gradients.items():
        difference = np.linalg.norm(gradient - expected[name]) / np.linalg.norm(expected[name])
        assert difference < 1e-3, name


def test_a_module_moves_there_and_back(gpu):
    network = models.googlenet_cifar(width=0.05, rng=np.random.default_rng(0))
    before = network.state_dict()
    assert {p.device for p in network.to(gpu).parameters()} == {"cuda:0"}
    for name, array in network.state_dict().items():
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, before[name])
    network.load_state_dict({name: array * 2 for name, array in before.items()})
    assert {p.device for p in network.parameters()} == {"cuda:0"}
    assert {p.device for p in network.to("cpu").parameters()} == {"cpu"}


def test_the_second_gpu(stand_in, rng):
    """Work is done where the arrays are, whichever device is the current one."""
    network = models.googlenet_cifar(width=0.05, rng=np.random.default_rng(0))
    images, labels = rng.normal(size=(2, 32, 32, 3)).astype(np.float32), np.array([3, 8])
    _, expected = run(network, images, labels, "cpu")
    _, gradients = run(network, images, labels, "cuda:1")
    assert {p.device for p in network.parameters()} == {"cuda:1"}
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-2, atol=1e-5, err_msg=name)
