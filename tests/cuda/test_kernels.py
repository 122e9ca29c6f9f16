"""Kernels on drawn geometries, against the array path, which is the same code as on the CPU.

In both orders of threads (on the stand-in): a missing barrier shows in one of them.
"""

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import host_cuda
from minicnn import Tensor, no_kernels
from minicnn import functional as F
from minicnn.backend import to_device, to_numpy
from minicnn.ops.bias_relu import add_bias, mask_and_sum, sum_rows
from minicnn.ops.im2col import col2im, im2col
from minicnn.shapes import window
from op_runs import cotangent

drawn = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["forward", "reverse"])
def order(request, gpu):
    """Run threads and blocks in this order, where that can be chosen; a real GPU has its own."""
    if request.node.callspec.params["gpu"] == "device":
        if request.param == "reverse":
            pytest.skip("a GPU runs its threads in an order of its own")
        yield "its own"
    else:
        with host_cuda.thread_order(request.param):
            yield request.param


@st.composite
def geometries(draw):
    """Draw an image size, channels, and a window that fits."""
    KH, KW = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in (KH, KW))
    H = draw(st.integers(max(1, KH - sum(padding[0])), 9))
    W = draw(st.integers(max(1, KW - sum(padding[1])), 9))
    stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shape = (draw(st.integers(1, 3)), H, W, draw(st.integers(1, 9)))
    return shape, {"kernel_size": (KH, KW), "stride": stride, "padding": padding}


dtypes = st.sampled_from([np.float32, np.float64])


def compare(gpu, function, arrays):
    """Run forward and backward with kernels and without, on the GPU; both must give the same."""
    results = []
    for path in (nullcontext, no_kernels):
        with path():
            tensors = [Tensor(to_device(a, gpu), requires_grad=True) for a in arrays]
            y = function(*tensors)
            y.backward(to_device(cotangent(y.numpy()), gpu))
            results.append([y.numpy(), *(to_numpy(t.grad) for t in tensors)])
    tolerance = 2e-5 if arrays[0].dtype == np.float32 else 1e-12
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)


def values(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@drawn
@given(geometry=geometries(), dtype=dtypes, ceil_mode=st.booleans(), tied=st.booleans())
def test_max_pool(gpu, order, geometry, dtype, ceil_mode, tied):
    shape, arguments = geometry
    x = values(shape, dtype)
    x = np.sign(x) if tied else x  # among equal numbers the first has to win
    compare(gpu, lambda t: F.max_pool2d(t, **arguments, ceil_mode=ceil_mode), [x])


@drawn
@given(geometry=geometries(), dtype=dtypes, ceil_mode=st.booleans(), include=st.booleans())
def test_avg_pool(gpu, order, geometry, dtype, ceil_mode, include):
    shape, arguments = geometry
    function = lambda t: F.avg_pool2d(t, **arguments, ceil_mode=ceil_mode, count_include_pad=include)  # noqa: E731
    compare(gpu, function, [values(shape, dtype)])


@drawn
@given(geometry=geometries(), dtype=dtypes, groups=st.sampled_from([1, 1, 2, 3]), filters=st.integers(1, 5))
def test_convolution(gpu, order, geometry, dtype, groups, filters):
    (N, H, W, C), arguments = geometry
    KH, KW = arguments["kernel_size"]
    x = values((N, H, W, C * groups), dtype)
    w, b = values((KH, KW, C, filters * groups), dtype, 1), values((filters * groups,), dtype, 2)
    for function in (F.conv2d, F.conv2d_relu):
        compare(
            gpu,
            lambda x, w, b, f=function: f(x, w, b, arguments["stride"], arguments["padding"], groups),
            [x, w, b],
        )


@drawn
@given(geometry=geometries(), dtype=dtypes, groups=st.integers(1, 3), before=st.integers(0, 5))
def test_im2col_and_its_transpose_on_channels_of_more(gpu, order, geometry, dtype, groups, before):
    """Image and gradient are a slice of the channels of a larger array, as in an inception module."""
    (N, H, W, C), arguments = geometry
    w = window("conv2d", (H, W), arguments["kernel_size"], arguments["stride"], arguments["padding"])
    larger = to_device(values((N, H, W, before + C * groups + 2), dtype), gpu)
    x = larger[..., before : before + C * groups]
    cols = im2col(x, w, groups)
    with no_kernels():
        expected = im2col(x, w, groups)
    np.testing.assert_array_equal(to_numpy(cols), to_numpy(expected))

    outside = to_numpy(larger).copy()
    gcols = to_device(values(cols.shape, dtype, 1), gpu)
    col2im(gcols, w, out=x)
    ours = to_numpy(larger).copy()
    with no_kernels():
        col2im(gcols, w, out=x)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(ours, to_numpy(larger), rtol=tolerance, atol=tolerance)
    for part in (slice(0, before), slice(before + C * groups, None)):
        np.testing.assert_array_equal(ours[..., part], outside[..., part])


@drawn
@given(
    channels=st.integers(1, 40),
    size=st.integers(1, 9),
    pixels=st.integers(1, 20),
    beta=st.sampled_from([0.75, 0.5, 1.0]),
    dtype=dtypes,
)
def test_local_response_norm(gpu, order, channels, size, pixels, beta, dtype):
    x = values((pixels, channels), dtype)
    compare(gpu, lambda t: F.local_response_norm(t, size, alpha=1.5, beta=beta, k=0.5), [x])


def test_local_response_norm_of_more_channels_than_fit_into_shared_memory(gpu):
    for channels in (3072, 3073):  # the first just fits
        compare(gpu, F.local_response_norm, [values((2, 1, 1, channels), np.float64)])


@drawn
@given(
    rows=st.integers(1, 70),
    channels=st.integers(1, 13),
    before=st.integers(0, 4),
    relu=st.booleans(),
    dtype=dtypes,
)
def test_bias_and_relu(gpu, order, rows, channels, before, relu, dtype):
    part = (..., slice(before, before + channels))
    y = to_device(values((rows, before + channels + 1), dtype), gpu)
    b = to_device(values((channels,), dtype, 1), gpu)
    gy = to_device(values((rows, channels), dtype, 2), gpu)
    expected_y = to_numpy(y).copy()
    expected_y[part] += to_numpy(b)
    if relu:
        expected_y[part] = np.maximum(expected_y[part], 0)
    add_bias(y[part], b, relu)
    np.testing.assert_array_equal(to_numpy(y), expected_y)

    expected_gz = to_numpy(gy) * (expected_y[part] > 0)
    gb = to_device(np.empty(channels, dtype), gpu)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    sum_rows(gy, out=gb)
    np.testing.assert_allclose(to_numpy(gb), to_numpy(gy).sum(axis=0), **tolerance)
    mask_and_sum(gy, y[part], gy, gb)  # in place
    np.testing.assert_array_equal(to_numpy(gy), expected_gz)
    np.testing.assert_allclose(to_numpy(gb), expected_gz.sum(axis=0), **tolerance)


@pytest.mark.parametrize("channels", [1, 3, 4, 64, 257, 1000])
def test_sums_of_many_rows_are_shared_by_many_blocks(gpu, order, channels):
    x = values((5000, channels), np.float64)
    out = to_device(np.empty(channels), gpu)
    sum_rows(to_device(x, gpu), out=out)
    np.testing.assert_allclose(to_numpy(out), x.sum(axis=0), rtol=1e-12, atol=1e-11)


@drawn
@given(
    samples=st.integers(1, 6),
    classes=st.integers(1, 300),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    dtype=dtypes,
    scale=st.sampled_from([1.0, 100.0]),
)
def test_cross_entropy(gpu, order, samples, classes, reduction, dtype, scale):
    x = values((samples, classes), dtype) * dtype(scale)
    labels = np.random.default_rng(3).integers(0, classes, samples)
    compare(gpu, lambda t: F.cross_entropy(t, labels, reduction), [x])


def test_nan_goes_through_every_kernel(gpu):
    """A NaN must not be swallowed: training would go on with a wrong number."""
    x = values((2, 5, 5, 8), np.float32)
    x[1, 2, 2, 3] = np.nan
    t = Tensor(to_device(x, gpu))
    w = Tensor(to_device(values((3, 3, 8, 4), np.float32), gpu))
    for y in (
        F.max_pool2d(t, 3, 1, 1),
        F.avg_pool2d(t, 3, 1, 1),
        F.local_response_norm(t),
        F.conv2d_relu(t, w, padding=1),
    ):
        assert np.isnan(y.numpy()[1, 2, 2]).any()
        assert not np.isnan(y.numpy()[0]).any()
    loss = F.cross_entropy(F.flatten(t), np.array([0, 0]), reduction="none").numpy()
    assert np.isnan(loss).tolist() == [False, True]


def test_a_maximum_of_minus_infinity_is_a_pixel_not_the_padding(gpu):
    x = Tensor(to_device(np.full((1, 2, 2, 1), -np.inf, np.float32), gpu), requires_grad=True)
    y = F.max_pool2d(x, 3, 1, 1)
    y.sum().backward()
    assert to_numpy(x.grad).ravel().tolist() == [4, 0, 0, 0]


@pytest.mark.parametrize("side", [15, 16, 17])
def test_places_beyond_one_byte(gpu, side):
    """Up to 256 places are numbered by a byte, more by two."""
    x = values((1, 20, 20, 4), np.float32)
    compare(gpu, lambda t: F.max_pool2d(t, side, 1), [x])


def test_more_places_than_two_bytes_count(gpu):
    """Windows of more than 65,536 places, of which the array path keeps row and column."""
    x = np.zeros((1, 257, 256, 1))
    x[0, 256, 255, 0] = 1.0  # the last place
    compare(gpu, lambda t: F.max_pool2d(t, (257, 256), 1), [x])


def test_labels_that_lie_on_the_gpu_are_not_read_by_the_host_but_a_wrong_one_shows(gpu):
    x = Tensor(to_device(values((3, 4), np.float32), gpu))
    losses = F.cross_entropy(x, to_device(np.array([0, 4, -1]), gpu), reduction="none").numpy()
    assert np.isnan(losses).tolist() == [False, True, True]
