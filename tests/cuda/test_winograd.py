"""Winograd's algorithm on a GPU against im2col, which is exact up to rounding; and when it is taken."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import Tensor, no_kernels, no_winograd
from minicnn import functional as F
from minicnn.backend import to_device, to_numpy
from minicnn.ops import winograd_on_gpu
from minicnn.ops.conv import Im2colKernel, convolution_kernel
from minicnn.ops.winograd_on_gpu import GpuWinogradKernel
from minicnn.shapes import window

few = st.integers(1, 4)
padding = st.tuples(st.integers(0, 2), st.integers(0, 2))


def values(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


def wide(array, before, after, gpu):
    """Put an array among other channels, all NaN; return everything, and where it is."""
    larger = np.full((*array.shape[:3], before + array.shape[3] + after), np.nan, array.dtype)
    larger[..., before : before + array.shape[3]] = array
    larger = to_device(larger, gpu)
    return larger, larger[..., before : before + array.shape[3]]


def results(kernel, x, gy, y, gx, gpu):
    """Convolve and differentiate; y and gx are where the results shall be."""
    kernel.convolve(x, out=y)
    kernel.prepare_input_gradient()
    gw = to_device(np.full(kernel.gradient_shape, np.nan, x.dtype), gpu)
    kernel.gradients(x, gy, gx, gw)
    return [to_numpy(a) for a in (y, gx, kernel.weight_gradient(gw))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    H=st.integers(1, 10), W=st.integers(1, 10), rows=padding, columns=padding, N=few, CI=few, CO=few,
    before=st.integers(0, 2), after=st.integers(0, 2), seed=st.integers(0, 99),
)  # fmt: skip
def test_equals_im2col(gpu, H, W, rows, columns, N, CI, CO, before, after, seed):
    """Any size and padding; images and gradients are channels of larger arrays, as in an inception module."""
    rng = np.random.default_rng(seed)
    image = max(H, 3 - sum(rows)), max(W, 3 - sum(columns))
    geometry = window("conv2d", image, 3, 1, (rows, columns))
    w = to_device(values(rng, 3, 3, CI, CO), gpu)
    x, gy = values(rng, N, *image, CI), values(rng, N, geometry.OH, geometry.OW, CO)
    found = []
    for kernel in (GpuWinogradKernel(w, geometry), Im2colKernel(w, geometry)):
        placed = [
            wide(a, before, after, gpu) for a in (x, gy, np.full_like(gy, np.nan), np.full_like(x, np.nan))
        ]
        found.append(results(kernel, *(part for _, part in placed), gpu))
        for larger, _ in placed:
            beside = np.delete(to_numpy(larger), np.s_[before : larger.shape[3] - after], axis=3)
            assert np.isnan(beside).all(), "it wrote beside its channels"
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * max(1, abs(expected).max()))


def test_many_channels_and_patches(gpu, rng):
    """More than a block of threads has, and not a multiple of it."""
    geometry = window("conv2d", (9, 13), 3, 1, 1)
    w, x, gy = (
        to_device(values(rng, *shape), gpu) for shape in ((3, 3, 40, 70), (2, 9, 13, 40), (2, 9, 13, 70))
    )
    found = [
        results(kernel, x, gy, gy.copy(), x.copy(), gpu)
        for kernel in (GpuWinogradKernel(w, geometry), Im2colKernel(w, geometry))
    ]
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * abs(expected).max())


@pytest.mark.parametrize("wanted", ["gx", "gw"])
def test_makes_the_gradient_that_is_wanted_alone(stand_in, rng, wanted):
    geometry = window("conv2d", (6, 5), 3, 1, 1)
    shapes = (3, 3, 4, 2), (2, 6, 5, 4), (2, 6, 5, 2)
    w, x, gy = (to_device(values(rng, *shape), stand_in) for shape in shapes)
    kernel = GpuWinogradKernel(w, geometry)
    kernel.prepare_input_gradient()
    both, alone = ({"gx": x.copy(), "gw": w.copy()} for _ in range(2))
    alone = {name: array if name == wanted else None for name, array in alone.items()}
    kernel.gradients(x, gy, **both)
    started = []
    with pytest.MonkeyPatch.context() as patch:
        original = winograd_on_gpu._launch
        patch.setattr(
            winograd_on_gpu, "_launch", lambda name, *rest: (started.append(name), original(name, *rest))[1]
        )
        kernel.gradients(x, gy, **alone)
    np.testing.assert_array_equal(to_numpy(alone[wanted]), to_numpy(both[wanted]))
    assert ("filter_transform_backward" in started) == (wanted == "gw")
    assert ("output_transform" in started) == (wanted == "gx")


def test_an_image_counts_as_its_transforms(stand_in):
    """5 x 9 pixels take two by three blocks."""
    w = to_device(np.ones((3, 3, 4, 7), np.float32), stand_in)
    assert GpuWinogradKernel(w, window("conv2d", (5, 9), 3, 1, 1)).bytes_per_image == 36 * 6 * (4 + 7) * 4


def test_float32_error_is_a_few_millionths_of_the_largest_value(gpu, rng):
    """As on the CPU (tests/ops/test_winograd.py); with 96 channels."""
    geometry = window("conv2d", (8, 8), 3, 1, 1)
    arrays = [values(rng, *shape) for shape in ((3, 3, 96, 32), (4, 8, 8, 96), (4, 8, 8, 32))]
    found = []
    for dtype, kind in ((np.float32, GpuWinogradKernel), (np.float64, Im2colKernel)):
        w, x, gy = (to_device(a.astype(np.float32).astype(dtype), gpu) for a in arrays)
        found.append(results(kind(w, geometry), x, gy, gy.copy(), x.copy(), gpu))
    for ours, expected in zip(*found, strict=True):
        assert ours.dtype == np.float32
        assert abs(ours - expected).max() < 4e-6 * abs(expected).max()


@pytest.fixture
def quick_start(monkeypatch):
    """Let it pay for small batches, too, as if kernels were started at once."""
    monkeypatch.setattr(winograd_on_gpu, "START", 0)


def run(function, gpu, *arrays):
    tensors = [Tensor(to_device(a, gpu), requires_grad=True) for a in arrays]
    y = function(*tensors)
    y.backward(to_device(np.random.default_rng(9).standard_normal(y.shape).astype(np.float32), gpu))
    return [y.numpy(), *(to_numpy(t.grad) for t in tensors)]


def inception(x, w3, *others):
    """Run a module whose 3x3 convolution sees all channels of the reduction."""
    w1, w_reduce, w5_reduce, w5, w_proj = others[:5]
    b1, b3_reduce, b3, b5_reduce, b5, b_proj = others[5:]
    return F.inception(x, w1, b1, w_reduce, b3_reduce, w3, b3, w5_reduce, b5_reduce, w5, b5, w_proj, b_proj)


@pytest.mark.parametrize("op", ["conv2d", "conv2d_relu", "inception"])
def test_ops_take_it_and_give_the_same(gpu, quick_start, rng, op):
    """Once in one tile and once in several; a bias is added behind it."""
    x, w, b = (values(rng, *s, dtype=np.float32) for s in ((5, 15, 14, 32), (3, 3, 32, 6), (6,)))
    if op == "inception":
        shapes = [(1, 1, 32, 3), (1, 1, 32, 32), (1, 1, 32, 2), (5, 5, 2, 4), (1, 1, 32, 5)]
        shapes += [(3,), (32,), (6,), (2,), (4,), (5,)]
        arrays = [x, w, *(values(rng, *s, dtype=np.float32) for s in shapes)]
        function = inception
    else:
        arrays = [x, w, b]
        function = lambda x, w, b: getattr(F, op)(x, w, b, padding=1)  # noqa: E731
    with no_winograd():
        by_im2col = run(function, gpu, *arrays)
    found = run(function, gpu, *arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicnn.parallel.GPU_TILE_BYTES", 1 << 18)
        in_tiles = run(function, gpu, *arrays)
    assert any((a != b).any() for a, b in zip(found, by_im2col, strict=True)), "it was not taken"
    for results_ in (found, in_tiles):
        for ours, expected in zip(results_, by_im2col, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_rows_of_a_single_image(gpu, quick_start, rng, monkeypatch):
    """A tile is some rows then, whose first and last see rows of others, and padding of two."""
    x, w = values(rng, 1, 33, 62, 32, dtype=np.float32), values(rng, 3, 3, 32, 40, dtype=np.float32)
    t, filters = Tensor(to_device(x, gpu)), Tensor(to_device(w, gpu))
    geometry = window("conv2d", (33, 62), 3, 1, ((2, 0), (0, 2)))
    assert isinstance(convolution_kernel(filters.data, geometry, 1, 1), GpuWinogradKernel)
    with no_winograd():
        expected = F.conv2d(t, filters, padding=((2, 0), (0, 2))).numpy()
    for size in (1 << 30, 1 << 20, 1 << 17):
        monkeypatch.setattr("minicnn.parallel.GPU_TILE_BYTES", size)
        y = F.conv2d(t, filters, padding=((2, 0), (0, 2))).numpy()
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * abs(expected).max())


# ---- when it is taken ----

LARGE = {"image": (16, 16), "channels": (32, 48), "images": 16}


def kernel_for(gpu, image, channels, images, kernel=3, stride=1, pad=1, groups=1, dtype=np.float32):
    w = to_device(np.ones((kernel, kernel, channels[0] // groups, channels[1]), dtype), gpu)
    return convolution_kernel(w, window("conv2d", image, kernel, stride, pad), groups, images)


def test_large_3x3_convolutions_in_float32(gpu):
    assert isinstance(kernel_for(gpu, **LARGE), GpuWinogradKernel)
    with no_winograd():
        assert isinstance(kernel_for(gpu, **LARGE), Im2colKernel)
    with no_kernels():
        assert isinstance(kernel_for(gpu, **LARGE), Im2colKernel)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": np.float64},
        {"groups": 2, "channels": (64, 96)},
        {"stride": 2},
        {"kernel": 5, "pad": 2},
        {"pad": 3},  # the gradient of x is no convolution then
        {"channels": (3, 48)},
        {"images": 1},
        {"image": (5, 5), "images": 64},  # 64 pixels are computed for 25
    ],
    ids=str,
)
def test_others_by_im2col(gpu, change):
    assert isinstance(kernel_for(gpu, **(LARGE | change)), Im2colKernel)


def test_not_in_tf32(gpu):
    minicnn.set_float32_matmul_precision("high")
    try:
        assert isinstance(kernel_for(gpu, **LARGE), Im2colKernel)
    finally:
        minicnn.set_float32_matmul_precision("highest")
