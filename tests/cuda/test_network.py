"""Whole networks on a GPU against the CPU."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from minicnn import Tensor, composed, models, nn, no_kernels, optim
from minicnn.backend import to_device, to_numpy
from minicnn.nn import Dropout
from minicnn.ops import conv, inception, winograd
from minicnn.ops.conv import Im2colKernel
from minicnn.ops.winograd_on_gpu import GpuWinogradKernel
from minicnn.training.metrics import count_heads


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


@contextmanager
def winograd_wherever_it_fits():
    """In float64, too, where it can be compared exactly."""

    def kernel(w, window, groups, images):
        kind = GpuWinogradKernel if winograd.fits(window, groups) else Im2colKernel
        return kind(w, window)

    with pytest.MonkeyPatch.context() as patch:
        for module in (conv, inception):
            patch.setattr(module, "convolution_kernel", kernel)
        yield


@pytest.mark.parametrize("path", [nullcontext, no_kernels, composed, winograd_wherever_it_fits])
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
    network.astype(np.float64)  # in float32, a ReLU that rounding tips over changes the first layers by 1e-3
    images, labels = rng.normal(size=(2, 224, 224, 3)), np.array([3, 8])
    _, expected = run(network, images, labels, "cpu")
    _, gradients = run(network, images, labels, "cuda")
    for name, gradient in gradients.items():
        difference = np.linalg.norm(gradient - expected[name]) / np.linalg.norm(expected[name])
        assert difference < 1e-8, name


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


def test_everything_works_on_a_gpu_that_is_not_the_current_one(stand_in, rng):
    """What is made on the way (numbers, labels, velocities, averages, counts) has to be made there too."""
    network = models.googlenet_cifar(width=0.02, rng=np.random.default_rng(0)).to("cuda:1")
    weights = network.state_dict()
    images = Tensor(to_device(rng.normal(size=(2, 32, 32, 3)).astype(np.float32), "cuda:1"))
    sgd, average = optim.SGD(network.parameters(), lr=0.01), optim.PolyakAverage(network.parameters(), 2)
    for _ in range(2):
        out = network(images)
        loss = models.total_loss(out, np.array([3, 8])) * 2 + 1
        sgd.zero_grad()
        loss.backward()
        optim.clip_gradients(network.parameters(), 1.0)
        sgd.step(loss)
        average.update(loss)
    assert count_heads(out, np.array([3, 8])).device.id == 1
    arrays = [p.data for p in network.parameters()] + [p.grad for p in network.parameters()]
    arrays += [*average.averages, *(sgd.arrays(place)[2] for place in range(len(network.parameters())))]
    assert {array.device.id for array in arrays} == {1}
    state = sgd.state_dict()
    assert all(isinstance(v, np.ndarray) for v in state["velocity"].values())
    sgd.load_state_dict(state)
    average.load_state_dict(average.state_dict())
    network.load_state_dict(weights)
    network.astype(np.float64)
    assert {p.device for p in network.parameters()} == {"cuda:1"}


def test_an_optimizer_follows_its_weights(stand_in):
    """Velocities that were made on the CPU go where the weights have gone."""
    w = nn.Parameter(np.ones(3, np.float32))
    sgd = optim.SGD([w], lr=1.0)
    w.grad = np.ones(3, np.float32)
    sgd.step()
    w.data, w.grad = to_device(w.data, "cuda:1"), to_device(np.zeros(3, np.float32), "cuda:1")
    sgd.step()
    np.testing.assert_allclose(to_numpy(w.data), 1 - 1 - 0.9, rtol=1e-6)
