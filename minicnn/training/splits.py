"""The images of a run: loaded, limited, divided, and turned into batches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minicnn import data
from minicnn.data import Dataset, Loader, Normalisation
from minicnn.errors import DataError, UsageError
from minicnn.training.checkpoint import DataFacts
from minicnn.training.config import Config

LabelledImages = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]

# One set of shapes and one set of test images for all runs, whatever their seed: else results could not
# be compared.
DATA_SEED = 0


@dataclass(frozen=True)
class Images:
    """The images of a run, divided: uint8 (N, H, W, 3), each with int64 labels (N,).

    Attributes
    ----------
    train, val, test : (images, labels)
        To train on; held back from those; used once.
    facts : DataFacts
        What checkpoints keep.
    """

    train: LabelledImages
    val: LabelledImages
    test: LabelledImages
    facts: DataFacts


@dataclass(frozen=True)
class Splits:
    """The batches of a run; those of the training images in a new order each epoch, and augmented."""

    train: Loader
    val: Loader
    test: Loader
    facts: DataFacts


def load_images(config: Config, size: int, normalisation: Normalisation | None = None) -> Images:
    """Load the data of a run and divide them.

    Parameters
    ----------
    config : Config
    size : int
        Height and width that the network wants.
    normalisation : Normalisation, default=None
        None means: measure it on the training images.

    Raises
    ------
    DataError
        If the data are missing or damaged.
    UsageError
        If holding images back would leave none to train on.
    """
    dataset = data.load(
        config.data, config.data_dir, size, DATA_SEED, url=config.data_url, md5=config.data_md5, progress=True
    )
    images, labels = first_images(dataset, config.limit)
    try:
        train_images, train_labels, val_images, val_labels = data.split_validation(
            images, labels, config.val_fraction, config.seed
        )
    except DataError as error:
        raise UsageError(f"--val-fraction: {str(error).removeprefix('split_validation: ')}") from None
    normalisation = normalisation or Normalisation.from_images(train_images)
    train, val = (train_images, train_labels), (val_images, val_labels)
    test = dataset.test_images, dataset.test_labels
    checksum = _checksum(*train, *val, *test)
    facts = DataFacts(dataset.class_names, len(train_images), len(val_images), normalisation, checksum)
    return Images(train, val, test, facts)


def _checksum(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def make_splits(images: Images, config: Config, size: int) -> Splits:
    """Make the loaders of a run.

    Raises
    ------
    UsageError
        If the batch is larger than the training set.
    """
    if config.batch_size > images.facts.train_images:
        raise UsageError(
            f"--batch-size: expected at most the {images.facts.train_images} training images, "
            f"got {config.batch_size}"
        )

    def loader(split: LabelledImages, training: bool) -> Loader:
        return Loader(
            *split, config.batch_size, seed=config.seed, normalisation=images.facts.normalisation, size=size,
            shuffle=training, drop_last=training, augment=training and config.augment, device=config.device,
        )  # fmt: skip

    return Splits(
        loader(images.train, True), loader(images.val, False), loader(images.test, False), images.facts
    )


def first_images(dataset: Dataset, limit: int | None) -> LabelledImages:
    """Return the first `limit` training images, or all if there are no more, and their labels.

    A folder's images come class by class, so there the first of each class are taken in turn.
    """
    images, labels = dataset.train_images, dataset.train_labels
    if limit is None:
        return images, labels
    if dataset.name != "folder":
        return images[:limit], labels[:limit]
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], labels[by_class])
    turn = np.empty(len(labels), np.int64)  # each image's place within its class
    turn[by_class] = np.arange(len(labels)) - starts
    chosen = np.sort(np.lexsort((labels, turn))[:limit])
    return images[chosen], labels[chosen]
