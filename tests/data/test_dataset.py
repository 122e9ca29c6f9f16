import tarfile

import numpy as np
import pytest
from PIL import Image

from hostile_server import HostileServer
from minicnn import data
from minicnn.data import dataset
from minicnn.errors import DataError, UsageError


def write_classes(root, **counts):
    """Write one-coloured images, each with its own number as its red."""
    number = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for k in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(root / name / f"{k:03}.png")
            number += 1
    return root


def test_shapes(monkeypatch):
    monkeypatch.setattr(dataset, "_SHAPES_TRAINING_IMAGES", 120)
    monkeypatch.setattr(dataset, "_SHAPES_TEST_IMAGES", 30)
    shapes = data.load("shapes", seed=2)
    assert shapes.name == "shapes"
    assert shapes.class_names == data.SHAPE_CLASS_NAMES
    images, labels = data.load_shapes(120, seed=2)
    np.testing.assert_array_equal(shapes.train_images, images)
    np.testing.assert_array_equal(shapes.train_labels, labels)
    images, labels = data.load_shapes(30, seed=2, split="test")
    np.testing.assert_array_equal(shapes.test_images, images)
    np.testing.assert_array_equal(shapes.test_labels, labels)


def test_cifar10_from_a_folder(tmp_path, fake):
    fake.write_binary(tmp_path)
    cifar = data.load("cifar10", tmp_path)
    assert cifar.class_names == data.CIFAR10_CLASS_NAMES
    np.testing.assert_array_equal(cifar.train_images, fake.expected("train")[0])
    np.testing.assert_array_equal(cifar.test_labels, fake.expected("test")[1])


def test_cifar10_without_a_folder_is_fetched(tmp_path, fake, monkeypatch):
    fake.write_binary(tmp_path / "here")
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "here", "cifar-10-batches-bin")
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    server = HostileServer((tmp_path / "c.tar.gz").read_bytes())
    try:
        cifar = data.load("cifar10", url=server.url, md5=server.md5)
    finally:
        server.close()
    np.testing.assert_array_equal(cifar.train_labels, fake.expected("train")[1])
    assert (tmp_path / "cache").is_dir()


def test_folder_holds_back_a_fifth_of_every_class(tmp_path):
    write_classes(tmp_path, cat=20, dog=10)
    pets = data.load("folder", tmp_path, size=(6, 5))
    assert pets.class_names == ("cat", "dog")
    assert pets.train_images.shape == (24, 6, 5, 3)
    assert np.bincount(pets.train_labels).tolist() == [16, 8]
    assert np.bincount(pets.test_labels).tolist() == [4, 2]
    numbers = np.concatenate([pets.train_images, pets.test_images])[:, 0, 0, 0]
    assert sorted(numbers) == list(range(30))
    again = data.load("folder", tmp_path, size=(6, 5))
    np.testing.assert_array_equal(again.test_images, pets.test_images)
    other = data.load("folder", tmp_path, size=(6, 5), seed=1)
    assert not np.array_equal(other.test_images, pets.test_images)


def test_folder_with_train_and_test(tmp_path):
    write_classes(tmp_path / "train", cat=3, dog=4)
    write_classes(tmp_path / "test", cat=1, dog=2)
    pets = data.load("folder", tmp_path, size=8)
    assert pets.train_labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert pets.test_labels.tolist() == [0, 1, 1]
    assert pets.class_names == ("cat", "dog")


def test_classes_that_happen_to_be_called_train_and_test(tmp_path):
    write_classes(tmp_path, test=5, train=5)
    assert data.load("folder", tmp_path, size=8).class_names == ("test", "train")


def test_folder_whose_test_classes_are_others(tmp_path):
    write_classes(tmp_path / "train", cat=3, dog=4)
    write_classes(tmp_path / "test", cat=1, fish=2)
    with pytest.raises(DataError, match="the same classes in train and test, got cat, dog and cat, fish"):
        data.load("folder", tmp_path, size=8)


def test_bad_usage(tmp_path):
    with pytest.raises(UsageError, match="data set: expected one of shapes, cifar10, folder, got 'mnist'"):
        data.load("mnist")
    with pytest.raises(UsageError, match="'folder' needs to know where the images are: give --data-dir"):
        data.load("folder")
    with pytest.raises(UsageError, match="'shapes' is drawn on the fly and reads no folder, got here"):
        data.load("shapes", "here")
    with pytest.raises(DataError, match="no such folder"):
        data.load("folder", tmp_path / "nowhere")
