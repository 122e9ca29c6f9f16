import numpy as np
import pytest

from minicnn.data import split_validation
from minicnn.errors import DataError
from minicnn.random import Stream, counter_generator


def numbered(labels):
    """Images that carry their own number."""
    images = np.zeros((len(labels), 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    return images


@pytest.fixture
def labels(rng):
    return rng.permutation(np.repeat([0, 1, 2], [100, 50, 10]))


def test_divides_every_class_and_loses_nothing(labels):
    train_images, train_labels, held_images, held_labels = split_validation(
        numbered(labels), labels, 0.2, seed=1
    )
    assert np.bincount(held_labels).tolist() == [20, 10, 2]
    assert np.bincount(train_labels).tolist() == [80, 40, 8]
    for images, some_labels in ((train_images, train_labels), (held_images, held_labels)):
        numbers = images[:, 0, 0, 0]
        assert (np.diff(numbers.astype(int)) > 0).all()  # in the order of the original
        np.testing.assert_array_equal(labels[numbers], some_labels)
        assert some_labels.dtype == np.int64
    together = np.concatenate([train_images, held_images])[:, 0, 0, 0]
    assert sorted(together) == list(range(160))


def test_depends_on_seed_and_place_alone(labels):
    def held(**arguments):
        return split_validation(numbered(labels), labels, **{"fraction": 0.2, "seed": 1, **arguments})[
            2
        ].tobytes()

    assert held() == held()
    assert held() != held(seed=2)
    assert held() != held(place=1)


def test_whole_shares_are_drawn_class_by_class():
    """The split of CIFAR-10's training images: if it changed, runs could not be repeated."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5000))
    images = np.arange(50_000, dtype=np.uint32).view(np.uint8).reshape(50_000, 1, 1, 4)
    generator = counter_generator(3, Stream.SPLIT)
    expected = [generator.permutation(np.flatnonzero(labels == label))[:500] for label in range(10)]
    held_images = split_validation(images, labels, 0.1, seed=3)[2]
    np.testing.assert_array_equal(held_images.copy().view(np.uint32).ravel(), np.sort(expected, axis=None))


@pytest.mark.parametrize(
    ("sizes", "fraction", "held"),
    [
        ([11, 14, 17], 0.1, [1, 1, 2]),  # shares of 1.1, 1.4 and 1.7 are together 4.2
        ([16, 13, 2], 0.1, [2, 1, 0]),
        ([3, 4, 3], 0.1, [0, 1, 0]),
        ([4, 3, 3], 0.01, [1, 0, 0]),  # one at least
        ([100, 100, 100], 0.29, [29, 29, 29]),  # 0.29 * 100 is a little less than 29
        ([1, 4], 0.6, [0, 3]),  # a class keeps its last image ...
        ([1, 1, 1, 10], 0.5, [0, 0, 0, 6]),
        ([2, 3], 0.8, [2, 2]),  # ... as long as the others have some to spare
    ],
)
def test_shares_are_rounded_by_largest_remainder(sizes, fraction, held):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(5):
        held_labels = split_validation(numbered(labels), labels, fraction, seed)[3]
        assert np.bincount(held_labels, minlength=len(sizes)).tolist() == held


def test_few_images_of_many_classes():
    labels = np.arange(32) % 10
    chosen = [split_validation(numbered(labels), labels, 0.1, seed)[3].tolist() for seed in range(20)]
    assert all(len(held) == len(set(held)) == 3 for held in chosen)
    assert all({0, 1} <= set(held) for held in chosen), "of these there are four, of the others three"
    assert len({max(held) for held in chosen}) > 1, "which of equal classes gives an image is up to the seed"


@pytest.mark.parametrize("count", [2, 3, 5])
def test_one_image_of_each_class(count):
    labels = np.arange(count)
    _, train_labels, _, held_labels = split_validation(numbered(labels), labels, 0.1, seed=0)
    assert (len(train_labels), len(held_labels)) == (count - 1, 1)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_refuses_fractions_out_of_range(labels, fraction):
    with pytest.raises(DataError, match="fraction: expected a number between 0 and 1"):
        split_validation(numbered(labels), labels, fraction, seed=0)


def test_refuses_to_leave_nothing_to_train_on():
    labels = np.array([0, 0, 1])
    with pytest.raises(DataError, match=r"^split_validation: 0\.9 of 3 images would leave none to train on"):
        split_validation(numbered(labels), labels, 0.9, seed=0)


def test_refuses_to_divide_a_single_image():
    with pytest.raises(DataError, match=r"^split_validation: expected at least 2 images, .*, got 1$"):
        split_validation(numbered([0]), np.array([0]), 0.1, seed=0)
