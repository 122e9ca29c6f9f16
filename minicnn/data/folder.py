"""A user's own images: one subfolder a class.

Images are decoded once, brought to the network's input size and held in memory as uint8: 150 KB for one of
224x224, so 6,600 images a gigabyte. Decoding anew in every epoch would need less memory, but a damaged
file would show up in the middle of training, and decoding photographs can take longer than a training step.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from minicnn.data.image_file import IMAGE_SUFFIXES, read_image
from minicnn.errors import DataError
from minicnn.shapes import Size, pair


def load_folder(
    root: str | Path, size: Size, progress: bool = False
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], tuple[str, ...]]:
    """Read all images of a folder with one subfolder a class.

    Parameters
    ----------
    root : str or Path
        Its subfolders are the classes, in alphabetical order; names with a dot in front are left out. In
        a subfolder, every file whose name ends like an image's (.jpg, .png, ...) is one; it must be readable.
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
