"""From a data set in memory to the batches of an epoch."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator

import numpy as np
import numpy.typing as npt

from minicnn.backend import Array, to_device
from minicnn.data.augmentation import Windows, cut_windows, draw_windows
from minicnn.data.normalisation import Normalisation
from minicnn.data.on_gpu import ImagesOnGPU
from minicnn.data.prefetch import prefetch
from minicnn.data.resize import resize_bilinear
from minicnn.errors import DataError
from minicnn.random import Stream, counter_generator
from minicnn.shapes import Size, integer, pair

Batch = tuple[Array, Array]


class Loader:
    """Batches of normalised, optionally augmented images, prepared by a background thread.

    Every batch is a function of (seed, epoch, step) alone: see `minicnn.random`. Neither prefetching nor
    resuming in the middle of an epoch changes a bit of it.

    Augmentation shifts every image by up to an eighth of its size in each direction (4 of 32 pixels, as
    usual on CIFAR-10; 28 of 224) and mirrors every other one. What moves in from outside is the mean
    colour, which normalisation has made 0.

    Parameters
    ----------
    images : uint8 array of shape (N, H, W, C)
        Kept, not copied.
    labels : integer array of shape (N,)
        Class numbers.
    batch_size : int
        Images in a step; the last batch of an epoch may be smaller.
    seed : int
        Of the run.
    normalisation : Normalisation
        Measured on the training images.
    size : int or (height, width), default=None
        What the network wants, in pixels; images of another size are resized, bilinearly and batch by
        batch. None means the images' own size.
    augment : bool, default=False
        Whether to crop at random, for training.
    mirror : bool, default=True
        Whether augmentation may mirror; not wanted where left and right differ, as in digits.
    shuffle : bool, default=False
        Whether every epoch has an order of its own, for training.
    drop_last : bool, default=False
        Whether to leave out the last batch of an epoch when it is not full.
    dtype : floating dtype, default=float32
        Of the images in a batch.
    device : str, default="cpu"
        Where batches are wanted: "cpu", "cuda" or "cuda:<index>". On a GPU the data set lies there, and
        batches are made there, with the same bits.

    Raises
    ------
    DataError
        If images and labels are not what is described above, or there is not one batch of them.
    ShapeError
        If `batch_size` or `size` are not whole numbers of at least 1.

    Examples
    --------
    >>> images = np.zeros((10, 32, 32, 3), np.uint8)
    >>> labels = np.arange(10)
    >>> loader = Loader(images, labels, 4, seed=0, normalisation=Normalisation.from_images(images))
    >>> for x, batch_labels in loader.epoch(0):
    ...     print(x.shape, batch_labels)
    (4, 32, 32, 3) [0 1 2 3]
    (4, 32, 32, 3) [4 5 6 7]
    (2, 32, 32, 3) [8 9]
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.integer],
        batch_size: int,
        *,
        seed: int,
        normalisation: Normalisation,
        size: Size | None = None,
        augment: bool = False,
        mirror: bool = True,
        shuffle: bool = False,
        drop_last: bool = False,
        dtype: npt.DTypeLike = np.float32,
        device: str = "cpu",
    ) -> None:
        check_images_and_labels("Loader", images, labels)
        self.images = images
        self.labels = labels.astype(np.int64, copy=False)
        self.batch_size = integer("Loader", "batch_size", batch_size, minimum=1)
        self.seed = seed
        self.normalisation = normalisation
        self.size = images.shape[1:3] if size is None else pair("Loader", "size", size, minimum=1)
        self.augment = augment
        self.mirror = mirror
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.dtype = np.dtype(dtype)
        self.device = device
        self._on_gpu: ImagesOnGPU | None = None
        if device != "cpu" and images.shape[1:3] == self.size:
            self._on_gpu = ImagesOnGPU(images, normalisation, self.dtype, device)
        if drop_last and len(images) < self.batch_size:
            raise DataError(
                f"Loader: expected at least one full batch of {self.batch_size} images, got {len(images)}"
            )

    def __len__(self) -> int:
        """Steps in an epoch."""
        full = len(self.images) / self.batch_size
        return math.floor(full) if self.drop_last else math.ceil(full)

    def epoch(self, epoch: int, start_step: int = 0) -> Generator[Batch, None, None]:
        """Iterate over the batches of one epoch.

        Parameters
        ----------
        epoch : int
            Which one, from 0; decides on order and augmentation.
        start_step : int, default=0
            Batches to leave out at the beginning, for a run resumed in the middle of an epoch.

        Yields
        ------
        x : array of shape (n, height, width, C)
            Normalised images; a new array every time.
        labels : int64 array of shape (n,)
            Their classes.
        """
        integer("Loader.epoch", "epoch", epoch, minimum=0)
        integer("Loader.epoch", "start_step", start_step, minimum=0)
        if self._on_gpu is not None:  # a thread of its own would not help: the GPU works by itself
            return self._batches_on_gpu(self._on_gpu, epoch, start_step)
        batches = prefetch(self._batches(epoch, start_step))
        return batches if self.device == "cpu" else self._sent(batches)

    @property
    def _margin(self) -> tuple[int, int]:
        """Rows above and below, and columns left and right of an image, into which a window may reach."""
        return self.size[0] // 8, self.size[1] // 8

    def _choices(self, epoch: int, start_step: int) -> Iterator[tuple[npt.NDArray[np.int64], Windows | None]]:
        """Yield which images are in each batch, and what is seen of them (None: all of it)."""
        N = len(self.images)
        order = np.arange(N)
        if self.shuffle:
            order = counter_generator(self.seed, Stream.ORDER, epoch).permutation(N)
        margin_y, margin_x = self._margin
        for step in range(start_step, len(self)):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
            windows = None
            if self.augment:
                rng = counter_generator(self.seed, Stream.AUGMENTATION, epoch, step)
                places = (2 * margin_y + 1, 2 * margin_x + 1)
                windows = draw_windows(len(chosen), places, self.mirror, rng)
            yield chosen, windows

    def _batches(self, epoch: int, start_step: int) -> Iterator[Batch]:
        H, W = self.size
        margin_y, margin_x = self._margin
        padded_shape = (self.batch_size, H + 2 * margin_y, W + 2 * margin_x, self.images.shape[3])
        # One buffer for the whole epoch: its margin stays 0, its middle is overwritten by every batch.
        padded = np.zeros(padded_shape, self.dtype) if self.augment else None
        for chosen, windows in self._choices(epoch, start_step):
            x = self.normalisation.apply(self.images[chosen], self.dtype)
            if x.shape[1:3] != self.size:
                x = resize_bilinear(x, self.size)
            if padded is not None and windows is not None:
                padded[: len(x), margin_y : margin_y + H, margin_x : margin_x + W] = x
                x = cut_windows(padded[: len(x)], self.size, windows)
            yield x, self.labels[chosen]

    def _batches_on_gpu(
        self, images: ImagesOnGPU, epoch: int, start_step: int
    ) -> Generator[Batch, None, None]:
        for chosen, windows in self._choices(epoch, start_step):
            x = images.batch(chosen, windows, self._margin)
            yield x, to_device(self.labels[chosen], self.device)

    def _sent(self, batches: Iterator[Batch]) -> Generator[Batch, None, None]:
        """Send batches that were made on the CPU, because their images have to be resized, to the GPU."""
        for x, labels in batches:
            yield to_device(x, self.device), to_device(labels, self.device)


def check_images_and_labels(
    where: str, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.integer]
) -> None:
    """Raise DataError, beginning with `where`, unless these are images and one label for each."""
    if images.ndim != 4 or images.dtype != np.uint8 or images.size == 0:
        raise DataError(
            f"{where}: images: expected uint8 of shape (N, H, W, C), "
            f"got {images.dtype} of shape {images.shape}"
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{where}: labels: expected whole numbers of shape ({len(images)},), "
            f"got {labels.dtype} of shape {labels.shape}"
        )
