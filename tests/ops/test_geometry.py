"""Convolution, pooling and LRN on whatever geometry Hypothesis comes up with, forward and backward.

The oracles are the plain-loop references of `minicnn.op_cases`, and their exact derivatives.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import Tensor
from minicnn import functional as F
from minicnn.op_cases import CASES
from op_runs import assert_gradients_match, cotangent, run, threads, tile_bytes
from strategies import generators, geometries, many_examples

few = st.integers(1, 3)


def check(name, inputs, settings, rng):
    """Compare an op with its reference; on three threads and tiny tiles, too."""
    case = CASES[name]
    y, gradients = run(case.function, inputs, settings)
    expected = case.reference(*inputs, **settings)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert_gradients_match(case.reference, inputs, settings, cotangent(y), gradients, rng)

    with tile_bytes(16), threads(3):
        tiled = run(case.function, inputs, settings)
    np.testing.assert_allclose(tiled.y, y, rtol=1e-12, atol=1e-12)
    for gradient, other in zip(tiled.gradients, gradients, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["conv2d", "conv2d_relu"])
@many_examples
@given(
    geometry=geometries(pooling=False),
    N=few,
    groups=few,
    CIG=few,
    COG=few,
    bias=st.booleans(),
    rng=generators,
)
def test_convolution(name, geometry, N, groups, CIG, COG, bias, rng):
    x = rng.standard_normal((N, *geometry.image, groups * CIG))
    w = rng.standard_normal((*geometry.kernel_size, CIG, groups * COG))
    b = rng.standard_normal(groups * COG)
    settings = {"stride": geometry.stride, "padding": geometry.padding, "groups": groups}
    check(name, (x, w, b) if bias else (x, w), settings, rng)


@many_examples
@given(
    geometry=geometries(pooling=True), N=few, C=few, spread=st.sampled_from([0, 1, 3, 1000]), rng=generators
)
def test_max_pooling(geometry, N, C, spread, rng):
    """Small whole numbers, so that ties abound; mostly negative ones, so that padding would show."""
    x = rng.integers(-spread - 1, max(spread // 2, 0), (N, *geometry.image, C)).astype(np.float64)
    check("max_pool2d", (x,), window_settings(geometry), rng)


@many_examples
@given(geometry=geometries(pooling=True), N=few, C=few, counted=st.booleans(), rng=generators)
def test_average_pooling(geometry, N, C, counted, rng):
    x = rng.standard_normal((N, *geometry.image, C))
    check("avg_pool2d", (x,), window_settings(geometry) | {"count_include_pad": counted}, rng)


@given(N=few, H=st.integers(1, 5), W=st.integers(1, 5), C=st.integers(1, 4), rng=generators)
def test_global_average_pooling(N, H, W, C, rng):
    check("global_avg_pool2d", (rng.standard_normal((N, H, W, C)),), {}, rng)


@many_examples
@given(
    leading=st.lists(few, min_size=1, max_size=3),
    C=st.integers(1, 9),
    size=st.integers(1, 10),
    alpha=st.floats(0.1, 3),
    beta=st.sampled_from([0.75, 0.5, 1.0, 1.3]),
    k=st.floats(0.5, 2),
    rng=generators,
)
def test_local_response_norm(leading, C, size, alpha, beta, k, rng):
    x = rng.standard_normal((*leading, C))
    check("local_response_norm", (x,), {"size": size, "alpha": alpha, "beta": beta, "k": k}, rng)


def window_settings(geometry):
    return {name: value for name, value in geometry._asdict().items() if name != "image"}


# ---- long windows: a winner's place no longer fits into one byte ----


@pytest.mark.parametrize("length", [255, 256, 257, 300])
@pytest.mark.parametrize("vertical", [True, False])
def test_long_windows_remember_their_winners(length, vertical, rng):
    """Each window's winner lies at another place, the last places included."""
    size = length + 9
    x = rng.permutation(4 * size).astype(np.float64).reshape(2, size, 2)
    x[0, [0, length - 1, length, size - 1], 0] += 1e6 * np.array([4, 3, 2, 1])  # far from where windows start
    x[1, [size - 1, length // 2], 1] += 1e6 * np.array([2, 1])
    image = x[:, :, None] if vertical else x[:, None]
    kernel = (length, 1) if vertical else (1, length)
    y, (gx,) = run(F.max_pool2d, [image], {"kernel_size": kernel, "stride": 1})
    gy = cotangent(y)

    y, gy, gx = (array.reshape(2, -1, 2) for array in (y, gy, gx))
    expected = np.zeros_like(x)
    for n, start, c in np.ndindex(y.shape):
        winner = start + x[n, start : start + length, c].argmax()
        assert y[n, start, c] == x[n, winner, c]
        expected[n, winner, c] += gy[n, start, c]
    np.testing.assert_allclose(gx, expected, rtol=1e-12)


@pytest.mark.parametrize("length", [256, 300])
def test_ties_in_long_windows_go_to_the_first(length):
    y, (gx,) = run(
        F.max_pool2d, [np.ones((1, length, 1, 1))], {"kernel_size": (length, 1)}, np.full((1, 1, 1, 1), 5.0)
    )
    assert gx.ravel().tolist() == [5.0] + [0.0] * (length - 1)


@pytest.mark.parametrize(
    ("kernel", "image", "dtypes"),
    [
        ((17, 17), (18, 19), (np.uint8, np.uint8)),  # 289 places, but 17 in each pass
        ((256, 2), (258, 3), (np.uint8, np.uint8)),
        ((257, 2), (258, 3), (np.uint8, np.uint16)),
        ((2, 300), (3, 302), (np.uint16, np.uint8)),
    ],
    ids=str,
)
def test_windows_of_many_places(kernel, image, dtypes, rng):
    """One byte for a winner is enough up to 256 places in a row or in a column."""
    x = rng.permutation(2 * image[0] * image[1]).astype(np.float64).reshape(1, *image, 2)
    y = F.max_pool2d(Tensor(x, requires_grad=True), kernel, stride=1)
    assert tuple(winners.dtype for winners in y.creator.saved) == dtypes
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (1, 2))  # (1, OH, OW, 2, KH, KW)
    places = windows.reshape(*y.shape, -1).argmax(axis=-1)
    np.testing.assert_array_equal(y.data, windows.max(axis=(-2, -1)))
    np.testing.assert_array_equal(y.creator.branches(), places)
    gy = cotangent(y.data)
    expected = np.zeros_like(x)
    for (n, p, q, c), place in np.ndenumerate(places):
        expected[n, p + place // kernel[1], q + place % kernel[1], c] += gy[n, p, q, c]
    np.testing.assert_allclose(y.creator.backward(gy)[0], expected, rtol=1e-12, atol=1e-13)


# ---- more about the corners ----


def test_pixels_between_windows_receive_zero():
    """With a stride beyond the kernel some pixels are never seen: their gradient is zero, not rubbish."""
    x = np.ones((2, 5, 5, 3))
    unseen = np.ones((5, 5), bool)
    for p, q in itertools.product((0, 3), repeat=2):
        unseen[p : p + 2, q : q + 2] = False
    w = np.ones((2, 2, 3, 1))
    for function, inputs, settings in (
        (F.conv2d, [x, w], {"stride": 3}),
        (F.max_pool2d, [x], {"kernel_size": 2, "stride": 3}),
        (F.avg_pool2d, [x], {"kernel_size": 2, "stride": 3}),
    ):
        gx = run(function, inputs, settings).gradients[0]
        assert not gx[:, unseen].any()
        assert gx[:, ~unseen].any()


@pytest.mark.parametrize("function", [F.conv2d, F.conv2d_relu])
def test_convolution_computes_only_the_gradients_that_are_wanted(function, rng):
    """The first layer's images want none, and theirs is the dearest."""
    arrays = [rng.standard_normal(shape) for shape in ((2, 4, 4, 3), (3, 3, 3, 2), (2,))]
    for wanted in itertools.product([True, False], repeat=3):
        y = function(*(Tensor(x, requires_grad=w) for x, w in zip(arrays, wanted, strict=True)))
        if any(wanted):
            gradients = y.creator.backward(np.ones(y.shape))
            assert [gradient is not None for gradient in gradients] == list(wanted)


def test_max_pooling_of_minus_infinity_and_of_not_a_number():
    """Padding is -inf, but nobody's maximum; what is not a number stays visible."""
    x = np.full((1, 3, 3, 1), -np.inf)
    assert (F.max_pool2d(Tensor(x), 3, 1, 1).data == -np.inf).all()
    x[0, 1, 1, 0] = np.nan
    assert np.isnan(F.max_pool2d(Tensor(x), 3, 1, 1).data).all()


def test_a_power_of_zero_has_no_slope_in_its_exponent():
    """a^b * log(a) tends to 0 as a does, and nothing warns of log(0)."""
    y, (ga, gb) = run(F.power, [np.array([0.0, 1.0, 2.0]), np.array([2.0, 2.0, 3.0])], {}, np.ones(3))
    np.testing.assert_array_equal(y, [0, 1, 8])
    np.testing.assert_array_equal(ga, [0, 2, 12])
    np.testing.assert_allclose(gb, [0, 0, 8 * np.log(2)], rtol=1e-15)


def test_convolution_with_an_impulse_shows_the_kernel(rng):
    """A single bright pixel paints the kernel upside down: this is cross-correlation."""
    x = np.zeros((1, 5, 5, 1))
    x[0, 2, 2, 0] = 1
    w = rng.standard_normal((3, 3, 1, 1))
    y = F.conv2d(Tensor(x), Tensor(w)).data
    np.testing.assert_array_equal(y[0, :, :, 0], w[::-1, ::-1, 0, 0])


def test_dropout_keeps_the_mean_and_drops_the_share_asked_for(rng):
    y = F.dropout(Tensor(np.ones(100_000, np.float32)), 0.7, rng=rng).data
    assert abs((y == 0).mean() - 0.7) < 0.01
    assert abs(y.mean() - 1) < 0.02
    assert np.unique(y).tolist() == pytest.approx([0, 1 / 0.3])


def test_dropout_draws_anew_each_time_and_is_repeatable():
    x = Tensor(np.ones(1000, np.float32))
    rng = np.random.default_rng(3)
    first, second = F.dropout(x, rng=rng).data, F.dropout(x, rng=rng).data
    assert (first != second).any()
    np.testing.assert_array_equal(F.dropout(x, rng=np.random.default_rng(3)).data, first)
    assert (F.dropout(x).data != F.dropout(x).data).any()  # without a generator, a fresh one


def test_dropout_that_drops_nothing_is_the_tensor_itself():
    x = Tensor([1.0, 2.0])
    assert F.dropout(x, p=0) is x
    assert F.dropout(x, p=0.5, training=False) is x


def test_cross_entropy_is_exact_for_large_float32_logits():
    logits = np.array([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0]], np.float32)
    y, (gx,) = run(
        F.cross_entropy, [logits], {"labels": np.array([1, 1]), "reduction": "none"}, np.ones(2, np.float32)
    )
    np.testing.assert_array_equal(y, [1e4, 0.0])
    np.testing.assert_array_equal(gx, [[1, -1, 0], [0, 0, 0]])


def test_cross_entropy_of_a_network_that_knows_nothing():
    assert F.cross_entropy(Tensor(np.zeros((4, 1000))), np.arange(4)).item() == pytest.approx(
        np.log(1000), rel=1e-15
    )
