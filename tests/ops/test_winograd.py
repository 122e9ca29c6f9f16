"""Winograd's algorithm against im2col, which is exact up to rounding: forward, backward, any geometry."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import polynomial

from minicnn.ops import conv, winograd
from minicnn.shapes import Window, window
from op_runs import threads, tile_bytes
from strategies import generators, many_examples

few = st.integers(1, 4)
padding = st.tuples(st.integers(0, 2), st.integers(0, 2))


class Results(NamedTuple):
    """What a convolution and its backward pass produce."""

    y: np.ndarray
    gx: np.ndarray
    gw: np.ndarray


def by_im2col(x, w, gy, geometry) -> Results:
    kernel = conv.Im2colKernel(w, geometry)
    kernel.prepare_input_gradient()
    results = Results(*(np.empty_like(like) for like in (gy, x, w)))
    kernel.convolve(x, out=results.y)
    gw = np.empty_like(kernel.weights)
    kernel.gradients(x, gy, results.gx, gw)
    return results._replace(gw=kernel.weight_gradient(gw))


def by_winograd(x: np.ndarray, w: np.ndarray, gy: np.ndarray, geometry: Window) -> Results:
    results = Results(*(np.full_like(like, np.nan) for like in (gy, x, w)))
    winograd.convolve_tile(x, winograd.transform_weights(w), geometry, out=results.y)
    UT = winograd.transform_weights(w.swapaxes(2, 3))
    winograd.differentiate_tile(x, gy, UT, geometry, gx=results.gx, gw=results.gw)
    return results


def draw(rng, N, image, CI, CO, geometry, dtype=np.float64):
    shapes = (N, *image, CI), (3, 3, CI, CO), (N, geometry.OH, geometry.OW, CO)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def padded_window(image, rows=(1, 1), columns=(1, 1)) -> Window:
    return window("conv2d", image, kernel=3, stride=1, padding=(rows, columns))


@many_examples
@given(
    H=st.integers(1, 13), W=st.integers(1, 13), rows=padding, columns=padding, N=few, CI=few, CO=few,
    rng=generators,
)  # fmt: skip
def test_equals_im2col(H, W, rows, columns, N, CI, CO, rng):
    """Odd sizes, sizes that are no multiples of four, images below the kernel's size, uneven padding."""
    image = max(H, 3 - sum(rows)), max(W, 3 - sum(columns))
    geometry = padded_window(image, rows, columns)
    arrays = draw(rng, N, image, CI, CO, geometry)
    for result, expected in zip(by_winograd(*arrays, geometry), by_im2col(*arrays, geometry), strict=True):
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 * max(1, abs(expected).max()))


@given(H=st.integers(3, 9), N=few, before=few, C=few, after=few, rng=generators)
def test_reads_and_writes_slices_of_channels(H, N, before, C, after, rng):
    """As in an inception module, whose branches are slices of one array; what is beside them stays."""
    geometry = padded_window((H, H))
    x, w, gy = draw(rng, N, (H, H), C, C, geometry)
    expected = by_im2col(x, w, gy, geometry)

    def inside(array):
        wide = np.full((*array.shape[:3], before + C + after), 7.0)
        wide[..., before : before + C] = array
        return wide, wide[..., before : before + C]

    (wide_x, x), (wide_gy, gy), (wide_y, y), (wide_gx, gx) = map(inside, (x, gy, expected.y, expected.gx))
    copies = [array.copy() for array in (wide_x, wide_gy, w)]
    y[...] = gx[...] = np.nan
    gw = np.empty_like(w)
    winograd.convolve_tile(x, winograd.transform_weights(w), geometry, out=y)
    winograd.differentiate_tile(x, gy, winograd.transform_weights(w.swapaxes(2, 3)), geometry, gx, gw)
    for result, right in zip((y, gx, gw), expected, strict=True):
        np.testing.assert_allclose(result, right, rtol=0, atol=1e-12 * max(1, abs(right).max()))
    for array, copy in zip((wide_x, wide_gy, w), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    for wide in (wide_y, wide_gx):
        assert (np.delete(wide, np.s_[before : before + C], axis=3) == 7).all()


@pytest.mark.parametrize("wanted", ["gx", "gw"])
def test_makes_the_gradient_that_is_wanted_alone(wanted, rng):
    geometry = padded_window((6, 5))
    x, w, gy = draw(rng, 2, (6, 5), 3, 2, geometry)
    expected = by_winograd(x, w, gy, geometry)
    UT = winograd.transform_weights(w.swapaxes(2, 3))
    outputs = {"gx": None, "gw": None, wanted: np.empty_like(getattr(expected, wanted))}
    winograd.differentiate_tile(x, gy, UT, geometry, **outputs)
    np.testing.assert_array_equal(outputs[wanted], getattr(expected, wanted))


def test_does_not_depend_on_what_was_in_the_buffers(rng):
    """Scratch memory is used again; rubbish in it must neither show nor warn."""
    geometry = padded_window((5, 6))
    arrays = draw(rng, 2, (5, 6), 3, 4, geometry)
    first = by_winograd(*arrays, geometry)
    spoiled = [np.full_like(array, np.nan) for array in arrays]
    by_winograd(*spoiled, geometry)
    for again, result in zip(by_winograd(*arrays, geometry), first, strict=True):
        np.testing.assert_array_equal(again, result)


def test_transform_of_weights_has_the_same_bits_on_any_number_of_threads(rng):
    w = rng.standard_normal((3, 3, 8, 5)).astype(np.float32)
    with threads(1):
        U = winograd.transform_weights(w)
    with tile_bytes(16), threads(3):
        np.testing.assert_array_equal(winograd.transform_weights(w), U)


def test_float32_error_is_a_few_millionths_of_the_largest_value(rng):
    """With 192 channels. Evaluated at 0, 1, -1, 2, -2, it would be 4 to 11 millionths, and fail here."""
    geometry = padded_window((8, 8))
    arrays = draw(rng, 8, (8, 8), 192, 64, geometry, np.float32)
    exact = by_im2col(*(array.astype(np.float64) for array in arrays), geometry)
    for result, expected in zip(by_winograd(*arrays, geometry), exact, strict=True):
        assert result.dtype == np.float32
        assert abs(result - expected).max() < 4e-6 * abs(expected).max()


def test_which_convolutions_it_fits():
    fitting = {"kernel": 3, "stride": 1, "padding": ((0, 2), (1, 0))}
    assert winograd.fits(window("conv2d", (7, 7), **fitting))
    assert not winograd.fits(window("conv2d", (7, 7), **fitting), groups=2)
    for change in ({"kernel": 5}, {"kernel": (3, 1)}, {"stride": 2}, {"stride": (1, 2)}):
        assert not winograd.fits(window("conv2d", (7, 7), **(fitting | change)))


def test_when_it_pays():
    """The convolutions of both GoogLeNets, and where im2col is faster."""
    assert winograd.pays(padded_window((32, 32)), CI=64, images=64, tiles=32)
    assert winograd.pays(padded_window((56, 56)), CI=64, images=8, tiles=8)
    assert winograd.pays(padded_window((4, 4)), CI=160, images=64, tiles=2)
    # The transforms outweigh the products; few patches, and much of them unused; a single patch.
    assert not winograd.pays(padded_window((32, 32)), CI=3, images=64, tiles=32)
    assert not winograd.pays(padded_window((7, 7)), CI=192, images=8, tiles=2)
    assert not winograd.pays(padded_window((4, 4)), CI=160, images=1, tiles=1)


def test_an_image_counts_as_its_input_and_output_in_whole_blocks():
    """5 x 9 pixels take two by three blocks of 4x4."""
    assert winograd.bytes_per_image(padded_window((5, 9)), CI=3, CO=7, itemsize=4) == 8 * 12 * (3 + 7) * 4


# ---- the matrices ----


def test_matrices_of_the_paper():
    """F(2, 3) and F(4, 3) as Lavin and Gray print them; theirs differ by factors that cancel."""
    BT, G, AT = winograd.toom_cook((0, 1, -1), outputs=2)
    assert_same_algorithm(
        (BT, G, AT),
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, -1]],
    )
    BT, G, AT = winograd.toom_cook((0, 1, -1, 2, -2), outputs=4)
    assert_same_algorithm(
        (BT, G, AT),
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    )


def assert_same_algorithm(ours, BT, G, AT):
    """Compare what the algorithms compute of each product: row k of B^T, row k of G, column k of A^T."""
    for k, (b, g, a) in enumerate(zip(BT, G, np.transpose(AT), strict=True)):
        expected = np.einsum("i,j,o->ijo", b, g, a)
        result = np.einsum("i,j,o->ijo", ours[0][k], ours[1][k], ours[2][:, k])
        np.testing.assert_allclose(result, expected, rtol=1e-14, atol=1e-15)


@given(
    numbers=st.lists(st.integers(-6, 6), min_size=2, max_size=6, unique=True), data=st.data(), rng=generators
)
def test_matrices_for_any_points(numbers, data, rng):
    """Correlation is what they compute, wherever the polynomials are evaluated."""
    points = [float(Fraction(number, 3)) for number in numbers]
    outputs = data.draw(st.integers(1, len(points) + 1))
    BT, G, AT = winograd.toom_cook(points, outputs)
    d, w = rng.standard_normal(len(points) + 1), rng.standard_normal(len(points) + 2 - outputs)
    y = AT @ ((G @ w) * (BT @ d))
    scale = abs(AT).max() * abs(G).max() * abs(BT).max()
    np.testing.assert_allclose(y, np.correlate(d, w, "valid"), rtol=0, atol=1e-13 * scale)


def test_matrices_evaluate_polynomials(rng):
    """G evaluates the filter, A the gradient; both scaled, so that their product is interpolated by B."""
    BT, G, AT = winograd.toom_cook(winograd.POINTS, outputs=4)
    w, g = rng.standard_normal(3), rng.standard_normal(4)
    product = BT.T @ ((G @ w) * (AT.T @ g))
    np.testing.assert_allclose(product, polynomial.polymul(w, g), rtol=1e-13, atol=1e-13)
