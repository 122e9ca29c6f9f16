"""Every op on a GPU: with its kernels, and by the array path, what it gives on the CPU."""

from contextlib import nullcontext

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, gradcheck, no_kernels
from minicnn.backend import to_device, to_numpy
from minicnn.cuda.graph import RecordedFunction
from minicnn.op_cases import CASES
from minicnn.parallel import on_device_of
from op_runs import Run, cotangent, run, run_sample, samples_of_all_cases

TOLERANCES = {
    np.float64: {"rtol": 1e-11, "atol": 1e-12},
    np.float32: {"rtol": 1e-4, "atol": 1e-5},
}
# On a GPU dropout draws other numbers; see test_random.py.
every_sample = pytest.mark.parametrize(
    ("case", "sample"), [p for p in samples_of_all_cases() if p.values[0].name != "dropout"]
)


def on_gpu(value, dtype, device):
    """Move what is an array of floating-point numbers; labels and indices may stay where they are."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return to_device(value.astype(dtype), device)
    return value


def run_on_gpu(case, sample, dtype, device) -> Run:
    tensors = [Tensor(on_gpu(x, dtype, device), requires_grad=True) for x in sample.inputs]
    settings = {name: on_gpu(value, dtype, device) for name, value in sample.settings.items()}
    y = case.function(*tensors, **settings)
    assert y.device == "cuda:0"
    assert y.dtype == dtype
    y.backward(to_device(cotangent(y.numpy()), device))
    assert all(t.grad.dtype == dtype for t in tensors)
    return Run(y.numpy(), [to_numpy(t.grad) for t in tensors])


@pytest.mark.parametrize("path", [nullcontext, no_kernels], ids=["kernels", "arrays"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_sample
def test_gives_what_the_cpu_gives(gpu, case, sample, dtype, path):
    rounded = [x.astype(dtype).astype(np.float64) for x in sample.inputs]
    expected = run(case.function, rounded, sample.settings)
    with path():
        result = run_on_gpu(case, sample, dtype, gpu)
    np.testing.assert_allclose(result.y, expected.y, **TOLERANCES[dtype])
    for gradient, other in zip(result.gradients, expected.gradients, strict=True):
        np.testing.assert_allclose(gradient, other, **TOLERANCES[dtype])


# Lists of indices lie on the CPU, and a mask has to be counted there.
NOT_RECORDED = ("getitem: rows, one of them twice", "getitem: elements, one of them twice", "getitem: a mask")


@pytest.mark.parametrize(
    ("case", "sample"),
    [p for p in samples_of_all_cases() if p.values[0].name != "dropout" and p.id not in NOT_RECORDED],
)
def test_can_be_recorded(gpu, case, sample):
    """Forward and backward as a CUDA graph: replays work on what the inputs hold by then."""
    settings = {
        name: to_device(np.asarray(value), gpu)
        if name == "labels" or isinstance(value, np.ndarray)
        else value
        for name, value in sample.settings.items()
    }
    inputs = [to_device(x, gpu) for x in sample.inputs]
    expected = run_sample(case, sample)
    gy = to_device(np.asarray(cotangent(expected.y)), gpu)

    def forward_and_backward(**arrays):
        tensors = [Tensor(array, requires_grad=True) for array in arrays.values()]
        y = case.function(*tensors, **settings)
        y.backward(gy)
        return y.data, *(t.grad for t in tensors)

    recorded = RecordedFunction(forward_and_backward, before_replay=lambda: None)
    with on_device_of(gy):
        for scale in (0.5, 1.5, 2.0, 1.0):  # two runs, the recording, a replay
            found = recorded(**{f"x{place}": scale * x for place, x in enumerate(inputs)})
        found = [to_numpy(array) for array in found]
    for ours, other in zip(found, (expected.y, *expected.gradients), strict=True):
        np.testing.assert_allclose(ours, other, **TOLERANCES[np.float64])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gradient_check_passes_on_a_gpu(gpu, case, rng):
    sample = case.samples(rng)[0]
    settings = {name: on_gpu(value, np.float64, gpu) for name, value in sample.settings.items()}
    inputs = [Tensor(to_device(x, gpu)) for x in sample.inputs]
    report = gradcheck(lambda *tensors: case.function(*tensors, **settings), inputs, rng=rng, samples=20)
    assert report, str(report)


@every_sample
def test_memory_layout_does_not_matter(gpu, case, sample):
    """Column-major inputs and gradients: a kernel must not take them for row-major ones."""
    expected = run_sample(case, sample)
    cupy_layout = [Tensor(to_device(x.T.copy(), gpu).T, requires_grad=True) for x in sample.inputs]
    settings = {name: on_gpu(value, np.float64, gpu) for name, value in sample.settings.items()}
    y = case.function(*cupy_layout, **settings)
    y.backward(to_device(np.asarray(cotangent(expected.y)).T.copy(), gpu).T)
    np.testing.assert_allclose(y.numpy(), expected.y, **TOLERANCES[np.float64])
    for t, gradient in zip(cupy_layout, expected.gradients, strict=True):
        np.testing.assert_allclose(to_numpy(t.grad), gradient, **TOLERANCES[np.float64])


def test_a_second_backward_gives_the_same(gpu, rng):
    x = Tensor(to_device(rng.normal(size=(2, 6, 5, 4)), gpu), requires_grad=True)
    w = Tensor(to_device(rng.normal(size=(3, 3, 4, 6)), gpu), requires_grad=True)
    y = minicnn.functional.conv2d_relu(x, w, padding=1)
    gradients = []
    for _ in range(2):
        y.backward(to_device(cotangent(y.numpy()), gpu), retain_graph=True)
        gradients.append((to_numpy(x.grad).copy(), to_numpy(w.grad).copy()))
        x.zero_grad()
        w.zero_grad()
    for first, second in zip(*gradients, strict=True):
        np.testing.assert_array_equal(first, second)
