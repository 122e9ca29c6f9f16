"""Which algorithm convolves, and that a single image cut into rows gives the same."""

import threading

import numpy as np
import pytest

from minicnn import Tensor, no_grad, no_winograd
from minicnn import functional as F
from minicnn.ops.conv import Im2colKernel, convolution_kernel
from minicnn.ops.winograd import WinogradKernel
from minicnn.shapes import window
from minicnn.tensor import winograd_enabled
from op_runs import threads, tile_bytes

LARGE_3X3 = window("conv2d", (16, 16), 3, 1, 1)


def kernel_for(geometry=LARGE_3X3, channels=(32, 48), groups=1, images=64, dtype=np.float32):
    w = np.ones((geometry.KH, geometry.KW, channels[0] // groups, channels[1]), dtype)
    return convolution_kernel(w, geometry, groups, images)


def test_large_3x3_convolutions_in_float32_are_done_by_winograd():
    assert isinstance(kernel_for(), WinogradKernel)


@pytest.mark.parametrize(
    "settings",
    [
        {"dtype": np.float64},
        {"groups": 2},
        {"geometry": window("conv2d", (16, 16), 3, 2, 1)},
        {"geometry": window("conv2d", (16, 16), (3, 2), 1, 1)},
        {"geometry": window("conv2d", (16, 16), 5, 1, 2)},
        {"channels": (3, 48)},
        {"geometry": window("conv2d", (4, 4), 3, 1, 1), "images": 1},
    ],
    ids=str,
)
def test_others_by_im2col(settings):
    assert isinstance(kernel_for(**settings), Im2colKernel)


def test_no_winograd():
    seen_elsewhere = []
    with no_winograd():
        assert isinstance(kernel_for(), Im2colKernel)
        other = threading.Thread(target=lambda: seen_elsewhere.append(winograd_enabled()))
        other.start()
        other.join()
    assert seen_elsewhere == [True]
    with pytest.raises(KeyError), no_winograd():
        raise KeyError
    assert isinstance(kernel_for(), WinogradKernel)


@pytest.mark.parametrize("function", [F.conv2d, F.conv2d_relu])
def test_both_give_the_same(function, rng):
    x, w, b = (
        Tensor(rng.standard_normal(shape).astype(np.float32), requires_grad=True)
        for shape in ((24, 15, 16, 24), (3, 3, 24, 40), (40,))
    )
    gy = rng.standard_normal((24, 15, 16, 40)).astype(np.float32)
    results = []
    for count in (1, 2):
        with threads(count):
            results.append(run(function, x, w, b, gy))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(found, expected)
    with no_winograd():
        by_im2col = run(function, x, w, b, gy)
    differ = False
    for found, expected in zip(results[0], by_im2col, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        differ = differ or not np.array_equal(found, expected)
    assert differ, "both were done by the same algorithm"


def run(function, *inputs_and_gy):
    *inputs, gy = inputs_and_gy
    for t in inputs:
        t.zero_grad()
    y = function(*inputs, padding=1)
    y.backward(gy)
    return [y.data, *(t.grad for t in inputs)]


@pytest.mark.parametrize(
    ("image", "kernel", "settings"),
    [
        ((13, 9), (3, 3), {"padding": 1}),
        ((12, 7), (5, 3), {"padding": ((2, 1), (0, 1)), "stride": (1, 2)}),
        ((15, 15), (7, 7), {"padding": 3, "stride": 2}),
        ((9, 8), (2, 2), {"stride": 3}),
        ((8, 8), (3, 3), {"padding": 1, "groups": 2}),
        ((1, 6), (1, 1), {}),
    ],
    ids=str,
)
def test_a_single_image_is_cut_into_rows(image, kernel, settings, rng):
    x = rng.standard_normal((3, *image, 4))
    w = Tensor(rng.standard_normal((*kernel, 4 // settings.get("groups", 1), 6)))
    b = Tensor(rng.standard_normal(6))
    expected = F.conv2d(Tensor(x), w, b, **settings).data
    for size in (1 << 10, 1 << 14, 1 << 22):
        with tile_bytes(size), no_grad():
            for number in range(3):
                y = F.conv2d(Tensor(x[number : number + 1]), w, b, **settings).data
                np.testing.assert_allclose(y[0], expected[number], rtol=1e-12, atol=1e-12)


def test_rows_of_a_single_image_by_winograd(rng):
    x = Tensor(rng.standard_normal((1, 57, 56, 32)).astype(np.float32))
    w = Tensor(rng.standard_normal((3, 3, 32, 48)).astype(np.float32))
    assert isinstance(convolution_kernel(w.data, window("conv2d", (57, 56), 3, 1, 1), 1, 1), WinogradKernel)
    with no_winograd():
        expected = F.conv2d(x, w, padding=1).data
    with tile_bytes(1 << 18):
        y = F.conv2d(x, w, padding=1).data
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
