import numpy as np
import pytest

from minicnn.data import SHAPE_CLASS_NAMES, load_shapes
from minicnn.data.shape_images import LARGEST_SHAPE, SMALLEST_SHAPE
from minicnn.errors import DataError, ShapeError
from minicnn.parallel import pinned_blas


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(5000, return_sizes=True)


def test_form(shapes):
    images, labels, sizes = shapes
    assert (images.shape, images.dtype) == ((5000, 32, 32, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((5000,), np.int64)
    assert (sizes.shape, sizes.dtype) == ((5000,), np.float32)
    assert images.flags.c_contiguous
    assert len(set(SHAPE_CLASS_NAMES)) == 10
    assert np.bincount(labels).tolist() == [500] * 10


@pytest.mark.parametrize("n", [1, 99, 100, 101, 250])
def test_image_i_is_the_same_whatever_n_is(shapes, n):
    for array, whole in zip(load_shapes(n, return_sizes=True), shapes, strict=True):
        np.testing.assert_array_equal(array, whole[:n])


def test_sizes_are_asked_for():
    assert len(load_shapes(1)) == 2


def test_seeds_and_splits_have_nothing_in_common(shapes):
    first = shapes[0][:100, ::4, ::4].astype(np.int16)
    for other, _ in (
        load_shapes(100, seed=1),
        load_shapes(100, split="test"),
        load_shapes(100, seed=1, split="test"),
    ):
        distance = np.abs(other[:, None, ::4, ::4] - first).mean(axis=(2, 3, 4))
        assert distance.min() > 10  # grey levels; noise alone makes less


def test_sizes_vary_almost_fourfold_and_octaves_are_equally_likely(shapes):
    sizes = shapes[2]
    assert sizes.min() >= SMALLEST_SHAPE
    assert sizes.max() <= LARGEST_SHAPE
    assert sizes.max() / sizes.min() > 3.7
    middle = np.sqrt(SMALLEST_SHAPE * LARGEST_SHAPE)
    assert np.mean(sizes < middle) == pytest.approx(0.5, abs=0.03)


def test_size_is_that_of_the_object():
    """Discs differ from their background on as many pixels as a disc of that size has."""
    images, labels, sizes = load_shapes(1000, seed=5, return_sizes=True)
    discs = images[labels == SHAPE_CLASS_NAMES.index("disc")].astype(float)
    areas = []
    for image in discs:
        # The background is a gradient: fit a plane to the border and count the pixels that do not follow it.
        y, x = np.mgrid[:32, :32] / 32
        border = (np.minimum(x, y) < 0.07) | (np.maximum(x, y) > 0.93)
        terms = np.stack([np.ones_like(x), x, y], axis=-1)
        plane = terms @ np.linalg.lstsq(terms[border], image[border], rcond=None)[0]
        areas.append(np.count_nonzero(np.abs(image - plane).max(axis=-1) > 50))
    expected = np.pi / 4 * sizes[labels == SHAPE_CLASS_NAMES.index("disc")] ** 2
    assert np.corrcoef(areas, expected)[0, 1] > 0.8
    assert np.median(areas / expected) == pytest.approx(1, abs=0.2)


def ridge(train, labels, test, penalty=300):
    targets = np.eye(10, dtype=np.float32)[labels]
    gram = train.T @ train + penalty * np.eye(train.shape[1], dtype=np.float32)
    return (test @ np.linalg.solve(gram, train.T @ targets)).argmax(axis=1)


def softmax_regression(train, labels, test, epochs=6, rate=0.003):
    rng = np.random.default_rng(0)
    weights = np.zeros((train.shape[1], 10), np.float32)
    velocity = np.zeros_like(weights)
    for _ in range(epochs):
        for batch in np.split(rng.permutation(len(train)), 50):
            scores = np.exp(train[batch] @ weights)
            scores /= scores.sum(axis=1, keepdims=True)
            scores -= np.eye(10, dtype=np.float32)[labels[batch]]
            velocity = 0.9 * velocity - rate * train[batch].T @ scores / len(batch)
            weights += velocity
    return (test @ weights).argmax(axis=1)


def linear_accuracies(images, labels, test_images, test_labels):
    """Accuracies of linear classifiers of the pixels, as they are and less their means."""

    def features(pixels, mean):
        scaled = ((pixels - mean) / 64).astype(np.float32).reshape(len(pixels), -1)
        return np.concatenate([scaled, np.ones((len(pixels), 1), np.float32)], axis=1)

    mean = images.mean(axis=0)
    with pinned_blas():
        guesses = [
            classify(features(images, offset), labels, features(test_images, offset))
            for classify, offset in ((softmax_regression, 0), (softmax_regression, mean), (ridge, mean))
        ]
    return [np.mean(guess == test_labels) for guess in guesses]


def test_linear_classifiers_stay_under_45_per_cent(shapes):
    images, labels, _ = shapes
    assert max(linear_accuracies(images, labels, *load_shapes(1000, split="test"))) < 0.45


def test_the_linear_classifiers_of_that_test_are_good_ones(shapes):
    """With a tinge of colour that says which class it is, all of them find it."""
    images, labels, _ = shapes
    test_images, test_labels = load_shapes(1000, split="test")
    tinges = np.random.default_rng(0).choice([-40, 40], (10, 32, 32, 3))

    def tinged(images, labels):
        return np.clip(images + tinges[labels], 0, 255)[:, ::2, ::2]  # fewer pixels, for speed

    accuracies = linear_accuracies(
        tinged(images, labels), labels, tinged(test_images, test_labels), test_labels
    )
    assert min(accuracies) > 0.9


def test_bad_input():
    with pytest.raises(ShapeError, match="load_shapes: n: expected at least 1, got 0"):
        load_shapes(0)
    with pytest.raises(DataError, match="load_shapes: split: expected 'train' or 'test', got 'val'"):
        load_shapes(1, split="val")
