"""From a data set to the batches of a run."""

from dataclasses import replace

import numpy as np
import pytest

from minicnn import data
from minicnn.data import Dataset, Normalisation
from minicnn.errors import UsageError
from minicnn.training import load_images, make_splits
from minicnn.training.splits import first_images


def dataset(name: str, labels: list[int]) -> Dataset:
    """Images whose pixels are their own number."""
    count = len(labels)
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 8, 8, 3)).copy()
    return Dataset(name, ("a", "b", "c"), images, np.array(labels), images, np.array(labels))


def chosen(name: str, labels: list[int], limit: int | None) -> list[int]:
    images, kept = first_images(dataset(name, labels), limit)
    numbers = images[:, 0, 0, 0].tolist()
    assert kept.tolist() == [labels[number] for number in numbers]
    return numbers


def test_the_first_images():
    labels = [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert chosen("cifar10", labels, 4) == [0, 1, 2, 3]
    assert chosen("cifar10", labels, None) == chosen("folder", labels, 100) == list(range(9))


def test_the_first_images_of_a_folder_are_of_all_classes():
    """They come class by class there."""
    labels = [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert chosen("folder", labels, 3) == [0, 3, 5]
    assert chosen("folder", labels, 5) == [0, 1, 3, 4, 5]
    assert chosen("folder", labels, 8) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_load_images(config, monkeypatch):
    images, labels = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 3), np.uint8), np.arange(90) % 3
    asked = []

    def load(*arguments, progress, **source):
        asked.append(arguments)
        return Dataset("shapes", ("a", "b", "c"), images[:60], labels[:60], images[60:], labels[60:])

    monkeypatch.setattr(data, "load", load)
    config = replace(config, limit=30, val_fraction=0.2, data_dir="somewhere")
    loaded = load_images(config, 8)
    assert loaded.facts.class_names == ("a", "b", "c")
    assert (loaded.facts.train_images, loaded.facts.val_images) == (24, 6)
    assert loaded.facts.normalisation == Normalisation.from_images(loaded.train[0])
    together = np.concatenate([loaded.train[0], loaded.val[0]])
    assert {image.tobytes() for image in together} == {image.tobytes() for image in images[:30]}
    assert (loaded.test[0] == images[60:]).all()
    assert (loaded.test[1] == labels[60:]).all()

    other_seed = load_images(replace(config, seed=6), 8, Normalisation((0.0,) * 3, (1.0,) * 3))
    assert other_seed.val[0].tobytes() != loaded.val[0].tobytes()
    assert other_seed.facts.normalisation.mean == (0.0, 0.0, 0.0)
    assert asked == [("shapes", "somewhere", 8, 0)] * 2, "results of different seeds must be comparable"


def test_loaders(images, config):
    splits = make_splits(images, config, 8)
    assert [len(splits.train), len(splits.val), len(splits.test)] == [3, 1, 2]
    assert (splits.train.shuffle, splits.train.augment, splits.train.drop_last) == (True, True, True)
    for loader in (splits.val, splits.test):
        assert (loader.shuffle, loader.augment, loader.drop_last) == (False, False, False)
    assert make_splits(images, replace(config, augment=False), 8).train.augment is False


def test_batch_larger_than_the_data(images, config):
    with pytest.raises(UsageError, match="--batch-size: expected at most the 60 training images, got 61"):
        make_splits(images, replace(config, batch_size=61), 8)


def test_the_checksum_tells_images_labels_and_splits_apart(config, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    labels = np.arange(40) % 2

    def checksum(images: np.ndarray, labels: np.ndarray) -> str | None:
        given = Dataset("shapes", ("a", "b"), images[:30], labels[:30], images[30:], labels[30:])
        monkeypatch.setattr(data, "load", lambda *arguments, **source: given)
        return load_images(replace(config, batch_size=4), 8).facts.checksum

    before = checksum(images, labels)
    assert before == checksum(images.copy(), labels.copy())
    for changed, place in ((images, 0), (images, 39), (labels, 0), (labels, 39)):
        copies = [images.copy(), labels.copy()]
        copies[0 if changed is images else 1][place] ^= 1
        assert checksum(*copies) != before
