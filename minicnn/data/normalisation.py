"""Bring pixels to mean 0 and a spread of about 1: what networks without batch normalisation need."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minicnn.errors import DataError


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and spread of the training images: `x = (pixels - mean) / std`.

    Compute it once from training images, keep it with the run (`dataclasses.asdict` gives what JSON can
    hold, `Normalisation(**stored)` reads it), and apply the same numbers to every image the network sees.

    Attributes
    ----------
    mean, std : tuple of float
        One number a channel (R, G, B), in grey levels 0 to 255.

    Raises
    ------
    DataError
        If the two do not hold the same number of finite values, or a spread is not positive.

    Examples
    --------
    >>> normalisation = Normalisation(mean=(100.0, 110.0, 120.0), std=(50.0, 50.0, 50.0))
    >>> pixels = np.array([[[[150, 110, 20]]]], dtype=np.uint8)
    >>> normalisation.apply(pixels).tolist()
    [[[[1.0, 0.0, -2.0]]]]
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        mean, std = (tuple(float(value) for value in values) for values in (self.mean, self.std))
        if len(mean) != len(std) or not mean or not all(map(math.isfinite, mean + std)) or min(std) <= 0:
            raise DataError(
                f"Normalisation: expected one finite mean and one positive std a channel, "
                f"got mean {mean} and std {std}"
            )
        object.__setattr__(self, "mean", mean)  # JSON stores tuples as lists; equality should not notice
        object.__setattr__(self, "std", std)

    @classmethod
    def from_images(cls, images: npt.NDArray[np.uint8]) -> Normalisation:
        """Measure the mean and standard deviation of each channel.

        Parameters
        ----------
        images : uint8 array of shape (N, H, W, C)
            Training images only: what is measured on test images is knowledge about them.

        Returns
        -------
        Normalisation
            From sums of whole numbers, so that nothing is lost. A channel without any spread gets 1.
        """
        if images.ndim != 4 or images.size == 0 or images.dtype != np.uint8:
            raise DataError(
                f"Normalisation: expected uint8 images of shape (N, H, W, C), "
                f"got {images.dtype} of shape {images.shape}"
            )
        N, H, W, C = images.shape
        rows = images.reshape(N * H, W * C)  # whole rows: see apply
        total = rows.sum(axis=0, dtype=np.int64).reshape(W, C).sum(axis=0)
        total_of_squares = np.einsum("ij,ij->j", rows, rows, dtype=np.int64).reshape(W, C).sum(axis=0)
        mean = total / (N * H * W)
        variance = (total_of_squares - total * mean) / (N * H * W)
        std = np.where(variance > 0, np.sqrt(np.maximum(variance, 0)), 1.0)
        return cls(tuple(mean), tuple(std))

    def apply(
        self, images: npt.NDArray[np.uint8], dtype: npt.DTypeLike = np.float32
    ) -> npt.NDArray[np.floating]:
        """Return the images as floats, mean subtracted and scaled.

        Parameters
        ----------
        images : uint8 array of shape (..., W, C)
            Pixels.
        dtype : floating dtype, default=float32
            Of the result.

        Returns
        -------
        array of the shape of `images`
        """
        *rest, W, C = images.shape
        if len(self.mean) != C:
            raise DataError(
                f"Normalisation: expected images of {len(self.mean)} channels, got shape {images.shape}"
            )
        # A row of pixels at a time: NumPy is slow when the innermost dimension has only three elements.
        mean = np.tile(np.asarray(self.mean, dtype), W)
        std = np.tile(np.asarray(self.std, dtype), W)
        x = np.subtract(images.reshape(*rest, W * C), mean, dtype=dtype)  # (..., W*C)
        x /= std
        return x.reshape(images.shape)
