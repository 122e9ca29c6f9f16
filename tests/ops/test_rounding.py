"""Threads change no bit, and the size of the tiles only the rounding of sums, within a bound derived here.

A sum of n products in float32, added up in any order, lies within

    n * eps * sum |terms|                eps = 2^-24, to first order

of the exact one, so two orders differ by at most twice that (Higham, Accuracy and Stability of Numerical
Algorithms, 2002, section 3.1). The terms are drawn such that the smallest is larger than the bound: an order
that loses or doubles a single term is noticed.
"""

import numpy as np
import pytest

from minicnn import functional as F
from minicnn import no_winograd
from minicnn.op_cases import CASES
from op_runs import run, samples_of_all_cases, threads, tile_bytes

EPS = 2.0**-24
TILES = [16, 1 << 10, 1 << 14, 1 << 18, 4 << 20]  # bytes; the last is what minicnn uses
THREADS = [1, 2, 3, 5]
# By BLAS, whose order of adding depends on the shape of the product, or over tiles.
SUMMED = {"conv2d", "conv2d_relu", "inception", "linear", "matmul", "local_response_norm"}


def terms(rng, *shape):
    """Draw numbers of both signs whose products are between 1/4 and 1."""
    return (rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape)).astype(np.float32)


def assert_differ_by_rounding(found, magnitudes, count):
    """Compare sums of `count` products whose magnitudes add up to `magnitudes`."""
    bound = 2 * count * EPS * magnitudes
    assert bound.max() < 0.25, "a lost term has to show"
    for other in found[1:]:
        difference = np.abs(other.astype(np.float64) - found[0])
        assert (difference <= bound).all(), (difference / bound).max()


def in_all_tiles(function, inputs, settings, gy):
    found = []
    for size in TILES:
        with tile_bytes(size):
            found.append(run(function, inputs, settings, gy))
    return found


@pytest.mark.parametrize(
    ("N", "H", "C", "K", "kernel"), [(6, 8, 5, 7, 3), (1, 12, 3, 4, 5), (9, 5, 16, 8, 1)]
)
def test_tiles_change_only_the_rounding_of_a_convolution(N, H, C, K, kernel, rng):
    x, w, b = terms(rng, N, H, H, C), terms(rng, kernel, kernel, C, K), terms(rng, K)
    settings = {"padding": kernel // 2}
    gy = terms(rng, N, H, H, K)
    with no_winograd():
        found = in_all_tiles(F.conv2d, [x, w, b], settings, gy)
        sizes = run(F.conv2d, [abs(x), abs(w), abs(b)], settings, abs(gy))
    assert_differ_by_rounding([f.y for f in found], sizes.y, kernel**2 * C + 1)
    gx, gw, gb = zip(*(f.gradients for f in found), strict=True)
    assert_differ_by_rounding(gx, sizes.gradients[0], kernel**2 * K)
    assert_differ_by_rounding(gw, sizes.gradients[1], N * H * H)
    assert_differ_by_rounding(gb, sizes.gradients[2], N * H * H)


@pytest.mark.parametrize(("N", "CI", "CO"), [(300, 7, 5), (3, 400, 9), (65, 33, 200)])
def test_tiles_change_only_the_rounding_of_a_fully_connected_layer(N, CI, CO, rng):
    x, w, b = terms(rng, N, CI), terms(rng, CI, CO), terms(rng, CO)
    gy = terms(rng, N, CO)
    found = in_all_tiles(F.linear, [x, w, b], {}, gy)
    sizes = run(F.linear, [abs(x), abs(w), abs(b)], {}, abs(gy))
    assert_differ_by_rounding([f.y for f in found], sizes.y, CI + 1)
    gx, gw, gb = zip(*(f.gradients for f in found), strict=True)
    assert_differ_by_rounding(gx, sizes.gradients[0], CO)
    assert_differ_by_rounding(gw, sizes.gradients[1], N)
    assert_differ_by_rounding(gb, sizes.gradients[2], N)


@pytest.mark.parametrize(("shape", "size"), [((40, 6, 6, 12), 5), ((7, 3, 3, 64), 9)])
def test_tiles_change_only_the_rounding_of_a_normalisation(shape, size, rng):
    """x / s^beta, with s the sum over neighbouring channels: the relative error of s counts beta times."""
    x, gy = terms(rng, *shape), terms(rng, *shape)
    alpha, beta, k = 1.0, 0.75, 1.0
    found = in_all_tiles(F.local_response_norm, [x], {"size": size, "alpha": alpha}, gy)
    C = shape[-1]
    windows = np.abs(np.subtract.outer(np.arange(C), np.arange(C))) <= size // 2
    x64, gy64 = np.abs(x.astype(np.float64)), np.abs(gy.astype(np.float64))
    s = k + alpha / size * (x64**2 @ windows)
    of_sum = 2 * (size + 3) * EPS  # relative; products, division by the size and k included
    rounding = 8 * EPS  # of the power and what is multiplied after it
    assert beta * of_sum + rounding < 0.25 * alpha / size * 0.25 / s.max(), "a lost neighbour has to show"
    direct = gy64 * s**-beta
    shared = 2 * alpha * beta / size * x64 * ((gy64 * x64 * s ** (-beta - 1)) @ windows)
    for other in found[1:]:
        assert (np.abs(other.y - found[0].y) <= (beta * of_sum + rounding) * x64 * s**-beta).all()
        bound = (beta * of_sum + rounding) * direct + ((beta + 2) * of_sum + 2 * rounding) * shared
        assert (np.abs(other.gradients[0] - found[0].gradients[0]) <= bound).all()


@pytest.mark.parametrize(
    ("case", "sample"), [these for these in samples_of_all_cases() if these.values[0].name not in SUMMED]
)
def test_what_is_not_summed_over_tiles_does_not_change_at_all(case, sample):
    found = in_all_tiles(case.function, sample.inputs, sample.settings, None)
    for other in found[1:]:
        np.testing.assert_array_equal(other.y, found[0].y)
        for gradient, expected in zip(other.gradients, found[0].gradients, strict=True):
            np.testing.assert_array_equal(gradient, expected)


def larger(name, rng):
    """Draw arguments that make several tiles of minicnn's own size of the ops that cut their batch."""
    images = rng.standard_normal((8, 40, 40, 24)).astype(np.float32)

    def weights(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    return {
        "conv2d": ([images, weights(3, 3, 24, 16), weights(16)], {"padding": 1}),
        "conv2d_relu": ([images, weights(5, 5, 24, 16), weights(16)], {"padding": 2}),
        "inception": (
            [
                images,
                *(
                    array
                    for K, CI, CO in ((1, 24, 8), (1, 24, 6), (3, 6, 8), (1, 24, 4), (5, 4, 8), (1, 24, 8))
                    for array in (weights(K, K, CI, CO), weights(CO))
                ),
            ],
            {},
        ),
        "max_pool2d": ([images], {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
        "avg_pool2d": ([images], {"kernel_size": 3, "stride": 2, "padding": 1}),
        "local_response_norm": ([images], {}),
        "linear": ([weights(3000, 500), weights(500, 300), weights(300)], {}),
    }[name]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["conv2d", "conv2d_relu", "inception", "max_pool2d", "avg_pool2d", "local_response_norm", "linear"],
)
def test_threads_change_no_bit_of_float32(name, rng):
    """With Winograd's algorithm, BLAS and tiles as in training."""
    inputs, settings = larger(name, rng)
    found = []
    for count in THREADS:
        with threads(count):
            found.append(run(CASES[name].function, inputs, settings))
    for other in found[1:]:
        np.testing.assert_array_equal(other.y, found[0].y)
        for gradient, expected in zip(other.gradients, found[0].gradients, strict=True):
            np.testing.assert_array_equal(gradient, expected)
