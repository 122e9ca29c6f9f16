import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minicnn.data import resize_bilinear
from minicnn.data.resize import interpolation_weights
from minicnn.errors import DataError, ShapeError

SIZES = st.integers(1, 40)


def with_pillow(images, size):
    """Pillow on one plane of floats at a time, so that it does not round."""
    height, width = size
    resized = np.empty((len(images), height, width, images.shape[3]))
    for n, c in np.ndindex(len(images), images.shape[3]):
        plane = Image.fromarray(images[n, ..., c].astype(np.float32))
        resized[n, ..., c] = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
    return resized


@given(st.tuples(SIZES, SIZES), st.tuples(SIZES, SIZES), st.integers(0, 2**32))
def test_equals_pillow_when_enlarging_and_when_shrinking(old, new, seed):
    images = np.random.default_rng(seed).uniform(0, 255, (2, *old, 3))
    np.testing.assert_allclose(resize_bilinear(images, new), with_pillow(images, new), atol=1e-3)


def test_equals_pillow_from_32_to_224_in_batches_larger_than_a_tile(rng):
    images = rng.integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)
    expected = [
        np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR)) for image in images
    ]
    resized = resize_bilinear(images.astype(np.float32), 224)
    assert resized.dtype == np.float32
    assert np.abs(resized - expected).max() <= 1.0  # Pillow rounds twice


def test_own_size_changes_nothing(rng):
    images = rng.normal(size=(3, 7, 5, 3))
    np.testing.assert_array_equal(resize_bilinear(images, (7, 5)), images)


@given(SIZES, SIZES)
def test_weights_sum_to_1_and_stay_inside(old, new):
    indices, weights = interpolation_weights(old, new)
    assert indices.min() >= 0
    assert indices.max() < old
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_bad_input():
    with pytest.raises(DataError, match=r"expected floating-point images.*got uint8"):
        resize_bilinear(np.zeros((1, 4, 4, 3), np.uint8), 8)
    with pytest.raises(ShapeError, match="resize_bilinear: size: expected at least 1, got 0"):
        resize_bilinear(np.zeros((1, 4, 4, 3)), (8, 0))
