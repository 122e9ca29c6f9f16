"""Optimizer, clipping and averaging on a GPU: many parameters in one launch, and the bits of the CPU."""

import numpy as np
import pytest

from minicnn import Tensor, nn, no_kernels, optim
from minicnn.backend import to_device, to_numpy

SHAPES = [(3, 3, 2, 5), (5,), (70, 300), (1,), (4, 1)]


def parameters(device, dtype, seed=0):
    rng = np.random.default_rng(seed)
    made = [nn.Parameter(to_device(rng.normal(size=shape).astype(dtype), device)) for shape in SHAPES]
    return made, rng


def train(device, dtype, nesterov, decay, steps=4):
    """Take some steps with drawn gradients; one parameter has no gradient at first."""
    made, rng = parameters(device, dtype)
    groups = [
        {"params": made[:2], "lr": 0.1, "weight_decay": decay},
        {"params": made[2:], "lr": 0.03},
    ]
    sgd = optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=nesterov)
    average = optim.PolyakAverage(made, window=3)
    for step in range(steps):
        sgd.lr_factor = 1 / (step + 1)
        for i, p in enumerate(made):
            gradient = rng.normal(size=p.shape).astype(dtype)
            p.grad = None if (i, step) == (3, 0) else to_device(gradient, device)
        sgd.step()
        average.update()
    state = sgd.state_dict()["velocity"]
    return [
        *(to_numpy(p.data) for p in made),
        *(to_numpy(state[i]) for i in sorted(state)),
        *(to_numpy(a) for a in average.averages),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_the_bits_of_the_cpu(gpu, dtype, nesterov, decay):
    for ours, expected in zip(
        train(gpu, dtype, nesterov, decay), train("cpu", dtype, nesterov, decay), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)


def test_the_array_path_gives_the_same_bits(gpu):
    with no_kernels():
        arrays = train(gpu, np.float32, True, 0.01)
    for ours, expected in zip(arrays, train("cpu", np.float32, True, 0.01), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("device", ["cpu", pytest.param("gpu")])
@pytest.mark.parametrize("loss", [np.nan, np.inf, 1.0])
def test_nothing_moves_on_a_loss_that_is_not_finite(gpu, device, loss):
    place = gpu if device == "gpu" else "cpu"
    made, _ = parameters(place, np.float32)
    before = [to_numpy(p.data).copy() for p in made]
    sgd, average = optim.SGD(made, lr=0.1), optim.PolyakAverage(made, window=2)
    for p in made:
        p.grad = p.data * 0 + 1
    loss = Tensor(to_device(np.array(loss, np.float32), place))
    sgd.step(loss)
    average.update(loss)
    moved = [bool((to_numpy(p.data) != b).any()) for p, b in zip(made, before, strict=True)]
    assert moved == [bool(np.isfinite(loss.item()))] * len(SHAPES)
    averaged = [bool((to_numpy(a) != b).any()) for a, b in zip(average.averages, before, strict=True)]
    assert averaged == moved


@pytest.mark.parametrize("max_norm", [1.0, 1e6])
def test_clipping(gpu, max_norm):
    results = []
    for device in ("cpu", gpu):
        made, rng = parameters(device, np.float32)
        for p in made:
            p.grad = to_device(rng.normal(size=p.shape).astype(np.float32), device)
        old = [p.grad for p in made]
        copies = [to_numpy(g).copy() for g in old]
        norm = float(optim.clip_gradients(made, max_norm))
        for g, copy in zip(old, copies, strict=True):
            np.testing.assert_array_equal(to_numpy(g), copy, err_msg="somebody else's gradient")
        results.append((norm, [to_numpy(p.grad) for p in made]))
    (norm, clipped), (gpu_norm, gpu_clipped) = results
    assert gpu_norm == pytest.approx(norm, rel=1e-6)
    for ours, expected in zip(gpu_clipped, clipped, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_parameters_that_are_not_contiguous(gpu):
    w = nn.Parameter(to_device(np.arange(6.0).reshape(2, 3), gpu).T)
    w.grad = to_device(np.ones((2, 3)), gpu).T
    optim.SGD([w], lr=1.0, momentum=0.0).step()
    np.testing.assert_array_equal(to_numpy(w.data), np.arange(6.0).reshape(2, 3).T - 1)


def test_state_goes_to_the_cpu_and_back(gpu):
    made, _ = parameters(gpu, np.float32)
    sgd = optim.SGD(made, lr=0.1)
    for p in made:
        p.grad = p.data
    sgd.step()
    state = sgd.state_dict()
    state["velocity"] = {place: to_numpy(v) for place, v in state["velocity"].items()}
    other = optim.SGD(parameters(gpu, np.float32)[0], lr=0.1)
    other.load_state_dict(state)
    for place, v in other.state_dict()["velocity"].items():
        np.testing.assert_array_equal(to_numpy(v), state["velocity"][place])
