import json
from dataclasses import asdict

import numpy as np
import pytest

from minicnn.data import Normalisation
from minicnn.errors import DataError


def test_statistics_are_those_of_each_channel(rng):
    images = rng.integers(0, 256, (7, 5, 9, 3), dtype=np.uint8)
    images[..., 1] //= 4
    normalisation = Normalisation.from_images(images)
    np.testing.assert_allclose(normalisation.mean, images.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(normalisation.std, images.std(axis=(0, 1, 2)), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_applied_to_its_own_images_gives_mean_0_and_spread_1(rng, dtype):
    images = rng.integers(0, 256, (20, 8, 6, 3), dtype=np.uint8)
    before = images.copy()
    x = Normalisation.from_images(images).apply(images, dtype)
    assert x.dtype == dtype
    assert x.shape == images.shape
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, rtol=1e-6)
    np.testing.assert_array_equal(images, before)


def test_formula():
    normalisation = Normalisation((10, 20, 30), (1, 2, 4))
    x = normalisation.apply(np.array([[[12, 16, 30]], [[10, 22, 34]]], np.uint8))
    np.testing.assert_array_equal(x, [[[2, -2, 0]], [[0, 1, 1]]])


def test_constant_channel_gets_spread_1():
    normalisation = Normalisation.from_images(np.full((3, 4, 4, 3), 200, np.uint8))
    assert normalisation == Normalisation((200, 200, 200), (1, 1, 1))


def test_survives_json_without_losing_a_bit(rng):
    normalisation = Normalisation.from_images(rng.integers(0, 256, (3, 5, 5, 3), dtype=np.uint8))
    assert Normalisation(**json.loads(json.dumps(asdict(normalisation)))) == normalisation


@pytest.mark.parametrize(
    ("mean", "std"),
    [((1, 2, 3), (1, 1)), ((1,), (0,)), ((1,), (-1,)), ((float("nan"),), (1,)), ((), ())],
)
def test_refuses_what_is_no_normalisation(mean, std):
    with pytest.raises(DataError, match="expected one finite mean and one positive std a channel"):
        Normalisation(mean, std)


def test_refuses_images_of_another_kind():
    with pytest.raises(DataError, match=r"expected uint8 images of shape \(N, H, W, C\), got float64"):
        Normalisation.from_images(np.zeros((2, 4, 4, 3)))
    with pytest.raises(DataError, match=r"expected images of 3 channels, got shape \(2, 4, 4, 1\)"):
        Normalisation((1, 1, 1), (1, 1, 1)).apply(np.zeros((2, 4, 4, 1), np.uint8))
