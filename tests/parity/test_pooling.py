"""Pooling gives PyTorch's output sizes, outputs and gradients, for every small geometry there is."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import ShapeError, Tensor, no_grad
from minicnn import functional as F
from parity.against_torch import check_op, edges, nchw, nhwc

pytestmark = pytest.mark.parity


class Axis(NamedTuple):
    """A window along one axis."""

    size: int
    kernel: int
    stride: int
    padding: int

    @property
    def fits(self) -> bool:
        return self.kernel <= self.size + 2 * self.padding


def axes(sizes: range, kernels: range, strides: range, paddings: Callable[[int], range]) -> list[Axis]:
    return [
        Axis(size, kernel, stride, padding)
        for size, kernel, stride in itertools.product(sizes, kernels, strides)
        for padding in paddings(kernel)
    ]


# PyTorch pads pooling by half the kernel at most, on both sides alike.
POOLING = axes(range(1, 10), range(1, 6), range(1, 5), lambda kernel: range(kernel // 2 + 1))
CONVOLUTION = axes(range(1, 10), range(1, 6), range(1, 5), lambda kernel: range(5))


def geometries(rng: np.random.Generator) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """Every axis once as the vertical and once as the horizontal one, in random pairs."""
    fitting = [axis for axis in POOLING if axis.fits]
    for vertical, place in zip(fitting, rng.permutation(len(fitting)), strict=True):
        horizontal = fitting[place]
        size, kernel, stride, padding = zip(vertical, horizontal, strict=True)
        yield size, {"kernel_size": kernel, "stride": stride, "padding": padding}


OPS = {
    "max_pool2d": (F.max_pool2d, torch.nn.functional.max_pool2d),
    "avg_pool2d": (F.avg_pool2d, torch.nn.functional.avg_pool2d),
    "avg_pool2d, pixels": (
        functools.partial(F.avg_pool2d, count_include_pad=False),
        functools.partial(torch.nn.functional.avg_pool2d, count_include_pad=False),
    ),
}


@pytest.mark.parametrize("ceil_mode", [False, True], ids=["floor", "ceil"])
@pytest.mark.parametrize("name", OPS)
def test_every_small_geometry(name, ceil_mode, rng):
    ours, theirs = OPS[name]
    for size, settings in geometries(rng):
        settings = {**settings, "ceil_mode": ceil_mode}
        check_op(
            name,
            f"{size} {settings}",
            functools.partial(ours, **settings),
            lambda x, s=settings: nhwc(theirs(nchw(x), **s)),
            [rng.standard_normal((2, *size, 2))],
            rng,
        )


@pytest.mark.parametrize("ceil_mode", [False, True], ids=["floor", "ceil"])
@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_pooling_refuses_a_kernel_larger_than_the_padded_image(pool, ceil_mode):
    """PyTorch does so in floor mode; in ceil mode it lets the one window reach out of the image."""
    too_large = [axis for axis in POOLING if not axis.fits]
    assert len(too_large) > 50
    for size, kernel, stride, padding in too_large:
        with pytest.raises(ShapeError, match="expected at most the height"):
            pool(Tensor(np.zeros((1, size, 9, 1))), (kernel, 1), (stride, 1), (padding, 0), ceil_mode)


def test_every_small_convolution_size():
    """All output sizes, and the refusal of kernels that do not fit."""
    with no_grad():
        for size, kernel, stride, padding in CONVOLUTION:
            x, weight = np.zeros((1, size, 1, 1)), np.zeros((kernel, 1, 1, 1))
            settings = (stride, 1), (padding, 0)
            case = f"size {size}, kernel {kernel}, stride {stride}, padding {padding}"
            if kernel > size + 2 * padding:
                with pytest.raises(ShapeError, match="expected at most the height"):
                    F.conv2d(Tensor(x), Tensor(weight), None, *settings)
                continue
            y = F.conv2d(Tensor(x), Tensor(weight), None, *settings)
            expected = torch.nn.functional.conv2d(
                torch.empty(1, 1, size, 1), torch.empty(1, 1, kernel, 1), None, *settings
            )
            assert y.shape == (1, expected.shape[2], 1, 1), case


ASYMMETRIC = [((0, 1), (2, 0)), ((1, 0), (0, 0)), ((2, 1), (0, 2)), ((2, 2), (2, 2))]


@pytest.mark.parametrize("padding", ASYMMETRIC, ids=str)
@pytest.mark.parametrize("stride", [1, 2, (3, 1)], ids=str)
def test_max_pool2d_padding_beyond_pytorchs(stride, padding, rng):
    def theirs(x):
        padded = torch.nn.functional.pad(nchw(x), edges(padding), value=-torch.inf)
        return nhwc(torch.nn.functional.max_pool2d(padded, 3, stride))

    check_op(
        "max_pool2d",
        f"stride {stride}, padding {padding}",
        lambda x: F.max_pool2d(x, 3, stride, padding),
        theirs,
        [rng.standard_normal((2, 6, 7, 3))],
        rng,
    )


@pytest.mark.parametrize("padding", ASYMMETRIC, ids=str)
@pytest.mark.parametrize("stride", [1, 2, (3, 1)], ids=str)
def test_avg_pool2d_padding_beyond_pytorchs(stride, padding, rng):
    def window_sums(x):
        padded = torch.nn.functional.pad(x, edges(padding))
        return torch.nn.functional.avg_pool2d(padded, 3, stride, divisor_override=1)

    def theirs(x):
        pixels = nchw(x)
        return nhwc(window_sums(pixels) / window_sums(torch.ones_like(pixels)))

    arrays = [rng.standard_normal((2, 6, 7, 3))]
    case = f"stride {stride}, padding {padding}"
    check_op(
        "avg_pool2d",
        case,
        lambda x: F.avg_pool2d(x, 3, stride, padding),
        lambda x: nhwc(window_sums(nchw(x)) / 9),
        arrays,
        rng,
    )
    check_op(
        "avg_pool2d, pixels",
        case,
        lambda x: F.avg_pool2d(x, 3, stride, padding, count_include_pad=False),
        theirs,
        arrays,
        rng,
    )


@pytest.mark.parametrize("ceil_mode", [False, True], ids=["floor", "ceil"])
def test_max_pool2d_ties(ceil_mode, rng):
    """Of equal values the first in row-major order gets the gradient, in PyTorch, too."""
    for kernel, stride, padding in itertools.product([2, 3, (2, 3)], [1, 2, (3, 2)], [0, 1]):
        settings = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        check_op(
            "max_pool2d",
            f"ties {settings}",
            functools.partial(F.max_pool2d, **settings),
            lambda x, s=settings: nhwc(torch.nn.functional.max_pool2d(nchw(x), **s)),
            [rng.integers(0, 2, (2, 6, 7, 3)).astype(float)],
            rng,
        )


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((5, 56, 57, 24), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
        ((6, 28, 28, 40), {"kernel_size": 3, "stride": 1, "padding": 1}),
        ((4, 17, 31, 64), {"kernel_size": 5, "stride": 3}),
        ((2, 40, 40, 4), {"kernel_size": 20, "stride": 7, "padding": 9}),  # more than 256 places in a window
    ],
    ids=str,
)
def test_many_tiles(name, shape, settings, rng):
    ours, theirs = OPS[name]
    check_op(
        name,
        f"{shape} {settings}",
        functools.partial(ours, **settings),
        lambda x: nhwc(theirs(nchw(x), **settings)),
        [rng.standard_normal(shape)],
        rng,
    )


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 7, 7, 5), (3, 4, 9, 130)], ids=str)
def test_global_avg_pool2d(shape, rng):
    check_op(
        "global_avg_pool2d",
        str(shape),
        F.global_avg_pool2d,
        lambda x: torch.nn.functional.adaptive_avg_pool2d(nchw(x), 1).flatten(1),
        [rng.standard_normal(shape)],
        rng,
    )
