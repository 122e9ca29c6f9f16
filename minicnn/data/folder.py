"""A user's own images: one subfolder a class.

Images are decoded once, brought to the network's input size and held in memory as uint8: 150 KB for one of
224x224, so 6,600 images a gigabyte. Decoding anew in every epoch would need less memory, but a damaged
file would show up in the middle of training, and decoding photographs can take longer than a training step.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from minicnn.errors import DataError
from minicnn.shapes import Size, pair

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_image(path: str | Path, size: Size) -> npt.NDArray[np.uint8]:
    """Read one image file as a network wants it.

    The image is turned upright as its EXIF data say, laid on white where it is transparent, converted to
    RGB, scaled bilinearly until its shorter side fits, and cut to the size around its centre.

    Parameters
    ----------
    path : str or Path
        PNG, JPEG or anything else Pillow reads; of an animation, the first picture.
    size : int or (height, width)
        Of the result, in pixels.

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Raises
    ------
    DataError
        If the file is missing or no readable image.
    """
    from PIL import Image, ImageOps

    height, width = pair("read_image", "size", size, minimum=1)
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: expected an image file, but there is no such file")
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode == "F":
                raise DataError(f"{path}: expected an image of 8 or 16 bits a channel, got floating-point")
            if image.mode.startswith("I"):  # 16 bits: Pillow would cut off what is brighter than 255
                image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            image = ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.BILINEAR)
            return np.array(image)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise many kinds on damaged files
        raise DataError(f"{path}: expected an image, cannot read it ({error})") from None


def load_folder(
    root: str | Path, size: Size, progress: bool = False
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], tuple[str, ...]]:
    """Read all images of a folder with one subfolder a class.

    Parameters
    ----------
    root : str or Path
        Its subfolders are the classes, in alphabetical order; names with a dot in front are left out. In
        a subfolder, every file whose name ends like an image's (see `IMAGE_SUFFIXES`) is one; it must be
        readable.
    size : int or (height, width)
        What every image is brought to, in pixels: see `read_image`.
    progress : bool, default=False
        Whether to show a bar, if standard error is a terminal.

    Returns
    -------
    images : uint8 array of shape (N, height, width, 3)
        Class by class, in the order of the file names.
    labels : int64 array of shape (N,)
        Indices into the class names.
    class_names : tuple of str
        Names of the subfolders.

    Raises
    ------
    DataError
        If there is no such folder, it has fewer than two subfolders, one holds no image, a file cannot be
        read, or the images do not fit into memory.
    """
    from tqdm import tqdm

    height, width = pair("load_folder", "size", size, minimum=1)
    files = class_files(Path(root))
    paths = [path for class_paths in files.values() for path in class_paths]
    try:
        images = np.empty((len(paths), height, width, 3), np.uint8)
    except (MemoryError, ValueError):
        gigabytes = len(paths) * height * width * 3 / 1e9
        raise DataError(
            f"{root}: {len(paths)} images of {height}x{width} need {gigabytes:,.1f} GB of memory, "
            f"more than there is; use fewer images or a smaller size"
        ) from None
    for i, path in enumerate(tqdm(paths, desc="images", disable=None if progress else True)):
        images[i] = read_image(path, (height, width))
    labels = np.repeat(np.arange(len(files)), [len(class_paths) for class_paths in files.values()])
    return images, labels.astype(np.int64), tuple(files)


def class_files(root: Path) -> dict[str, list[Path]]:
    """List the image files of every class, in the order of the labels.

    Raises
    ------
    DataError
        As described in `load_folder`.
    """
    expected = "expected a folder with one subfolder of images a class"
    if not root.is_dir():
        raise DataError(f"{root}: {expected}, but there is no such folder")
    folders = [
        folder for folder in sorted(root.iterdir()) if folder.is_dir() and not folder.name.startswith(".")
    ]
    if len(folders) < 2:
        raise DataError(f"{root}: {expected} and at least two of them, found {len(folders)}")
    files = {folder.name: _image_files(folder) for folder in folders}
    for name, paths in files.items():
        if not paths:
            endings = ", ".join(IMAGE_SUFFIXES)
            raise DataError(f"{root / name}: expected images of a class, found no file ending in {endings}")
    return files


def _image_files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
