"""A data set by name, with its training and test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minicnn.data.cifar10 import CIFAR10_CLASS_NAMES, load_cifar10
from minicnn.data.download import CIFAR10_MD5, CIFAR10_URL, fetch_cifar10
from minicnn.data.folder import class_files, load_folder
from minicnn.data.shape_images import SHAPE_CLASS_NAMES, load_shapes
from minicnn.data.splits import split_validation
from minicnn.errors import DataError, UsageError
from minicnn.shapes import Size

DATASET_NAMES = ("shapes", "cifar10", "folder")

_SHAPES_TRAINING_IMAGES = 10_000
_SHAPES_TEST_IMAGES = 2_000
_FOLDER_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Dataset:
    """Images to train on, images to test on once, and what their labels mean.

    Attributes
    ----------
    name : str
        One of `DATASET_NAMES`.
    class_names : tuple of str
        What the labels stand for.
    train_images, test_images : uint8 arrays of shape (N, H, W, 3)
        RGB.
    train_labels, test_labels : int64 arrays of shape (N,)
        Indices into `class_names`.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.uint8]
    test_labels: npt.NDArray[np.int64]


def load(
    name: str,
    data_dir: str | Path | None = None,
    size: Size = 32,
    seed: int = 0,
    *,
    url: str = CIFAR10_URL,
    md5: str = CIFAR10_MD5,
    progress: bool = False,
) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name : {"shapes", "cifar10", "folder"}
        The embedded data set; CIFAR-10; or a user's own images.
    data_dir : str or Path, default=None
        Where the images are. Needed for "folder"; without it, "cifar10" is downloaded once.
    size : int or (height, width), default=32
        What the images of a folder are brought to. The other two have 32x32 pixels whatever the network
        wants: the `Loader` enlarges them batch by batch, since 50,000 images of 224x224 would need 7.5 GB.
    seed : int, default=0
        Which images of a folder are test images, and which shapes are drawn. To compare results it must
        stay the same.
    url, md5 : str
        Where to download CIFAR-10, and the checksum of the archive.
    progress : bool, default=False
        Whether to show bars, if standard error is a terminal.

    Returns
    -------
    Dataset
        The test images of a folder are its subfolder `test`, if it has the subfolders `train` and `test`
        with the classes in them; otherwise a fifth of each class.

    Raises
    ------
    UsageError
        If there is no data set of that name, or `data_dir` is missing or of no use.
    DataError
        If the images are missing or damaged.
    """
    if name == "shapes":
        if data_dir is not None:
            raise UsageError(f"data set 'shapes' is drawn on the fly and reads no folder, got {data_dir}")
        return Dataset(
            name,
            SHAPE_CLASS_NAMES,
            *load_shapes(_SHAPES_TRAINING_IMAGES, seed),
            *load_shapes(_SHAPES_TEST_IMAGES, seed, split="test"),
        )
    if name == "cifar10":
        folder = fetch_cifar10(url, md5, progress=progress) if data_dir is None else data_dir
        return Dataset(
            name, CIFAR10_CLASS_NAMES, *load_cifar10(folder, "train"), *load_cifar10(folder, "test")
        )
    if name == "folder":
        if data_dir is None:
            raise UsageError("data set 'folder' needs to know where the images are: give --data-dir")
        return _load_folder_dataset(Path(data_dir), size, seed, progress)
    raise UsageError(f"data set: expected one of {', '.join(DATASET_NAMES)}, got {name!r}")


def _load_folder_dataset(root: Path, size: Size, seed: int, progress: bool) -> Dataset:
    if not _has_split(root):
        images, labels, names = load_folder(root, size, progress)
        return Dataset(
            "folder", names, *split_validation(images, labels, _FOLDER_TEST_FRACTION, seed, place=1)
        )
    train_names, test_names = (tuple(class_files(root / split)) for split in ("train", "test"))
    if train_names != test_names:
        raise DataError(
            f"{root}: expected the same classes in train and test, "
            f"got {', '.join(train_names)} and {', '.join(test_names)}"
        )
    train_images, train_labels, names = load_folder(root / "train", size, progress)
    test_images, test_labels, _ = load_folder(root / "test", size, progress)
    return Dataset("folder", names, train_images, train_labels, test_images, test_labels)


def _has_split(root: Path) -> bool:
    """Whether `train` and `test` are folders of classes (and not the names of two classes)."""
    return all(
        (root / split).is_dir() and any(entry.is_dir() for entry in (root / split).iterdir())
        for split in ("train", "test")
    )
