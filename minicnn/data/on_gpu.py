"""A data set that lies on a GPU, as bytes, and its batches, which are made there.

The same numbers as on the CPU, bit for bit: windows are drawn by the same generator, and pixels normalised by
the same arithmetic (minicnn/cuda/augment.cu).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minicnn.backend import Array, array_module, to_device
from minicnn.cuda.launch import C_TYPES, THREADS, launch
from minicnn.cuda.memory import available_bytes
from minicnn.data.augmentation import Windows
from minicnn.data.normalisation import Normalisation
from minicnn.parallel import on_device_of

MOST_OF_MEMORY = 0.5  # of what is free; a larger data set stays on the CPU, and its batches are sent


class ImagesOnGPU:
    """Images on a GPU, from which batches are taken.

    Parameters
    ----------
    images : uint8 array of shape (N, H, W, C)
        On the CPU; copied to the GPU if there is room.
    normalisation : Normalisation
    dtype : floating dtype
        Of the batches: float32 or float64.
    device : str
        "cuda" or "cuda:<index>".
    """

    def __init__(
        self, images: npt.NDArray[np.uint8], normalisation: Normalisation, dtype: np.dtype, device: str
    ) -> None:
        self.device = device
        self.dtype = dtype
        self.mean, self.std = (
            to_device(np.asarray(values, dtype), device) for values in (normalisation.mean, normalisation.std)
        )
        self.images: Array = images
        with on_device_of(self.mean):
            if images.nbytes <= MOST_OF_MEMORY * available_bytes():
                self.images = to_device(images, device)

    def batch(self, chosen: npt.NDArray[np.int64], windows: Windows | None, margin: tuple[int, int]) -> Array:
        """Make a batch (n, H, W, C) of chosen images.

        Parameters
        ----------
        chosen : int64 array of shape (n,)
            Their numbers.
        windows : Windows or None
            What is seen of them; None means: all of it.
        margin : (int, int)
            Rows above and columns left of an image, from where windows are counted.
        """
        with on_device_of(self.mean):
            xp = array_module(self.mean)
            images = self.images
            if isinstance(images, np.ndarray):
                images, chosen = xp.asarray(images[chosen]), np.arange(len(chosen))
            n, (H, W, C) = len(chosen), images.shape[1:]
            if windows is None:
                zeros = np.zeros(n, np.int64)
                windows, margin = Windows(zeros, zeros, np.zeros(n, np.bool_)), (0, 0)
            x = xp.empty((n, H, W, C), self.dtype)
            pixels = n * H * W
            launch(
                "augment.cu", f"choose_crop_mirror_normalise<{C_TYPES[self.dtype]}>",
                (-(-pixels // THREADS),), (THREADS,),
                images, xp.asarray(chosen),
                xp.asarray((windows.top - margin[0]).astype(np.int32)),
                xp.asarray((windows.left - margin[1]).astype(np.int32)),
                xp.asarray(windows.mirrored.astype(np.uint8)),
                self.mean, self.std, x, pixels, H, W, C,
            )  # fmt: skip
            return x
