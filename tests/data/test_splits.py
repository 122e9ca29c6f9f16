import numpy as np
import pytest

from minicnn.data import split_validation
from minicnn.errors import DataError


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


def test_every_class_keeps_an_image():
    labels = np.array([0, 1, 1, 1, 1])
    _, train_labels, _, held_labels = split_validation(numbered(labels), labels, 0.9, seed=0)
    assert train_labels.tolist() == [0, 1]
    assert held_labels.tolist() == [1, 1, 1]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_refuses_fractions_out_of_range(labels, fraction):
    with pytest.raises(DataError, match="fraction: expected a number between 0 and 1"):
        split_validation(numbered(labels), labels, fraction, seed=0)


def test_refuses_to_hold_nothing_back():
    labels = np.arange(5)
    with pytest.raises(DataError, match=r"0\.1 of 5 images in 5 classes holds none back"):
        split_validation(numbered(labels), labels, 0.1, seed=0)
