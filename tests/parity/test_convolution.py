"""conv2d, conv2d_relu and linear give PyTorch's outputs and gradients."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import functional as F
from parity.against_torch import check_op, edges, nchw, nhwc, oihw

pytestmark = pytest.mark.parity

KERNELS = [1, 2, 3, (3, 2), (4, 5)]
STRIDES = [1, 2, (1, 3), (3, 2)]
PADDINGS = [0, 1, (2, 1), ((0, 1), (2, 0)), ((4, 1), (1, 5))]
IMAGES = [(7, 6), (5, 9)]
CHANNELS = [(3, 4, 1), (4, 2, 2), (3, 6, 3)]  # inputs, outputs, groups


def torch_conv2d(stride: Any, padding: Any, groups: int) -> Callable[..., Any]:
    def convolve(x: Any, weight: Any, bias: Any = None) -> Any:
        padded = torch.nn.functional.pad(nchw(x), edges(padding))
        return nhwc(torch.nn.functional.conv2d(padded, oihw(weight), bias, stride, 0, 1, groups))

    return convolve


def operands(
    rng: np.random.Generator, batch: int, image: tuple[int, int], kernel: Any, channels: tuple[int, int, int]
) -> list[np.ndarray]:
    inputs, outputs, groups = channels
    KH, KW = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return [
        rng.standard_normal((batch, *image, inputs)),
        rng.standard_normal((KH, KW, inputs // groups, outputs)),
        rng.standard_normal(outputs),
    ]


@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("stride", STRIDES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_conv2d(kernel, stride, padding, rng):
    for image, channels in itertools.product(IMAGES, CHANNELS):
        arrays = operands(rng, 2, image, kernel, channels)
        settings = {"stride": stride, "padding": padding, "groups": channels[2]}
        case = f"{image} {channels} kernel {kernel} {settings}"
        theirs = torch_conv2d(**settings)
        check_op("conv2d", case, lambda *t, s=settings: F.conv2d(*t, **s), theirs, arrays, rng)
        check_op(
            "conv2d", f"{case} no bias", lambda *t, s=settings: F.conv2d(*t, **s), theirs, arrays[:2], rng
        )


@pytest.mark.parametrize("padding", [0, 1, ((2, 0), (0, 1))], ids=str)
@pytest.mark.parametrize("stride", [1, (2, 1)], ids=str)
@pytest.mark.parametrize("kernel", [1, 2, 3], ids=str)
def test_conv2d_relu(kernel, stride, padding, rng):
    for image, channels in itertools.product(IMAGES, CHANNELS):
        arrays = operands(rng, 2, image, kernel, channels)
        settings = {"stride": stride, "padding": padding, "groups": channels[2]}
        case = f"{image} {channels} kernel {kernel} {settings}"
        convolve = torch_conv2d(**settings)
        for used in (arrays, arrays[:2]):
            check_op(
                "conv2d_relu",
                case,
                lambda *t, s=settings: F.conv2d_relu(*t, **s),
                lambda *t, convolve=convolve: torch.relu(convolve(*t)),
                used,
                rng,
            )


def test_conv2d_relu_at_zero(rng):
    """Where the convolution is exactly zero, no gradient passes."""
    image = rng.integers(-1, 2, (2, 5, 5, 2)).astype(float)
    weight = rng.integers(-1, 2, (2, 2, 2, 3)).astype(float)
    convolve = torch_conv2d(1, 0, 1)
    assert (convolve(torch.tensor(image), torch.tensor(weight)) == 0).sum() > 5
    check_op("conv2d_relu", "zeros", F.conv2d_relu, lambda *t: torch.relu(convolve(*t)), [image, weight], rng)


@pytest.mark.parametrize(
    ("batch", "image", "channels", "kernel", "stride", "padding"),
    [
        (1, (1, 1), (5, 3, 1), 1, 1, 0),  # one pixel
        (1, (1, 1), (3, 2, 1), 3, 1, 1),  # one pixel that mostly sees padding
        (3, (2, 1), (1, 1, 1), 2, 1, ((1, 0), (0, 1))),
        (13, (14, 14), (24, 32, 1), 3, 1, 1),  # from here on large enough for many tiles
        (5, (28, 28), (64, 48, 1), 1, 1, 0),
        (3, (56, 57), (3, 16, 1), 7, 2, 3),
        (9, (15, 16), (16, 24, 4), 5, 2, 2),
    ],
    ids=str,
)
def test_conv2d_small_and_large(batch, image, channels, kernel, stride, padding, rng):
    arrays = operands(rng, batch, image, kernel, channels)
    theirs = torch_conv2d(stride, padding, channels[2])
    settings = (stride, padding, channels[2])
    case = f"{batch} images {image} {channels} kernel {kernel} {settings}"
    check_op("conv2d", case, lambda *t: F.conv2d(*t, *settings), theirs, arrays, rng)
    check_op(
        "conv2d_relu",
        case,
        lambda *t: F.conv2d_relu(*t, *settings),
        lambda *t: torch.relu(theirs(*t)),
        arrays,
        rng,
    )


@pytest.mark.parametrize("samples", [1, 3, 300])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (5, 7), (7, 2), (200, 150), (150, 700)])
def test_linear(samples, inputs, outputs, rng):
    arrays = [
        rng.standard_normal((samples, inputs)),
        rng.standard_normal((inputs, outputs)),
        rng.standard_normal(outputs),
    ]
    case = f"{samples} x {inputs} -> {outputs}"

    def theirs(x, weight, bias=None):
        return torch.nn.functional.linear(x, weight.T, bias)

    check_op("linear", case, F.linear, theirs, arrays, rng)
    check_op("linear", f"{case}, no bias", F.linear, theirs, arrays[:2], rng)
