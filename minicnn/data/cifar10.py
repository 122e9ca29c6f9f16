"""CIFAR-10: 60,000 photographs of ten classes, 32x32 pixels (Krizhevsky, 2009).

Both official layouts are read. A record of the binary version is one byte of label and 3,072 bytes of
pixels; a batch of the python version is a pickled dictionary of the same numbers. Pixels are stored as
planes, all red ones first; here they come as (N, 32, 32, 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from minicnn.data.array_pickle import load_array_pickle
from minicnn.errors import DataError

CIFAR10_CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS  # bytes: the label, then the planes R, G, B
OFFICIAL_RECORDS = 10_000  # in each of the six files
BATCHES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}
ALL_BATCHES = BATCHES["train"] + BATCHES["test"]

ImagesAndLabels = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def load_cifar10(root: str | Path, split: Literal["train", "test"] = "train") -> ImagesAndLabels:
    """Read CIFAR-10 from a folder.

    Parameters
    ----------
    root : str or Path
        The folder of the batch files, or the folder above it, in either official layout. If both layouts
        are there, the binary one is read.
    split : {"train", "test"}
        The five training batches or the test batch.

    Returns
    -------
    images : uint8 array of shape (N, 32, 32, 3)
        RGB; N is 50,000 or 10,000.
    labels : int64 array of shape (N,)
        Indices into `CIFAR10_CLASS_NAMES`.

    Raises
    ------
    DataError
        If a file is missing, damaged, or holds a label that is none; the file is named, and the place.
        Pickles of the python version are read without running them: see `minicnn.data.array_pickle`.

    Notes
    -----
    Copies with fewer images a file are read too, for quick trials. But if one file of a folder has the
    official size, all must have it: otherwise a file cut off between two records would go unnoticed.

    The binary version has nothing that marks a record, so a shift by some bytes that leaves the size a
    multiple of the record shows only in its labels, which are then pixels: in 10,000 records some are above
    9. Pixels that are wrong, and labels that are wrong but from 0 to 9, cannot be noticed here; the archive's
    checksum, which `fetch_cifar10` verifies, tells those.
    """
    if split not in BATCHES:
        raise DataError(f"load_cifar10: split: expected 'train' or 'test', got {split!r}")
    folder, suffix = _find_batches(Path(root))
    names = [name + suffix for name in BATCHES[split]]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder}: expected {', '.join(names)} of CIFAR-10, missing: {', '.join(missing)}")
    try:
        if suffix == ".bin":
            _check_sizes(folder, names)
            batches = [_read_binary(folder / name) for name in names]
        else:
            batches = [_read_pickle(folder / name) for name in names]
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot read CIFAR-10 ({error.strerror})") from None
    planes = np.concatenate([planes for planes, _ in batches])  # (N, 3072)
    images = np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, np.concatenate([labels for _, labels in batches])


def _find_batches(root: Path) -> tuple[Path, str]:
    """Find the folder of the batch files, and what their names end with."""
    if not root.is_dir():
        raise DataError(f"{root}: expected the folder of CIFAR-10, but there is no such folder")
    for suffix, usual_name in ((".bin", "cifar-10-batches-bin"), ("", "cifar-10-batches-py")):
        for folder in (root, root / usual_name):
            if any((folder / (name + suffix)).is_file() for name in ALL_BATCHES):
                return folder, suffix
    raise DataError(
        f"{root}: expected CIFAR-10 (data_batch_1.bin ... test_batch.bin of the binary version, or "
        f"data_batch_1 ... test_batch of the python version), found neither there nor in "
        f"cifar-10-batches-bin or cifar-10-batches-py below it"
    )


def _check_sizes(folder: Path, names: list[str]) -> None:
    official = OFFICIAL_RECORDS * RECORD
    present = [folder / f"{name}.bin" for name in ALL_BATCHES]
    expect_official = any(path.is_file() and path.stat().st_size == official for path in present)
    for name in names:
        size = (folder / name).stat().st_size
        if size > official or (expect_official and size != official):
            wrong = f"cut off at offset {size}" if size < official else f"too many from offset {official} on"
            raise DataError(
                f"{folder / name}: expected {official} bytes ({OFFICIAL_RECORDS} records of {RECORD}), "
                f"got {size}: {wrong}"
            )
        if size == 0 or size % RECORD:
            raise DataError(
                f"{folder / name}: expected whole records of {RECORD} bytes, "
                f"got {size} bytes: cut off in the record at offset {size - size % RECORD}"
            )


def _read_binary(path: Path) -> ImagesAndLabels:
    records = np.fromfile(path, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int64)
    wrong = np.flatnonzero(labels >= len(CIFAR10_CLASS_NAMES))
    if wrong.size:
        k = int(wrong[0])
        all_wrong = "" if len(wrong) == 1 else f" ({len(wrong):,} of {len(labels):,} records have such)"
        shifted = "; the file looks shifted" if 2 * len(wrong) > len(labels) else ""
        raise DataError(
            f"{path}: expected labels 0 to 9, got {labels[k]} in record {k}, at offset {k * RECORD}"
            f"{all_wrong}{shifted}"
        )
    return records[:, 1:], labels


def _read_pickle(path: Path) -> ImagesAndLabels:
    batch = load_array_pickle(path)
    if "data" not in batch or "labels" not in batch:
        keys = str(sorted(batch))
        raise DataError(f"{path}: expected a dictionary with data and labels, got {keys[:200]}")
    planes = batch["data"]
    expected = f"{path}: data: expected a uint8 array of shape (N, {PIXELS})"
    if not isinstance(planes, np.ndarray):
        raise DataError(f"{expected}, got a {type(planes).__name__}")
    if planes.dtype != np.uint8 or planes.ndim != 2 or planes.shape[1] != PIXELS or len(planes) == 0:
        raise DataError(f"{expected}, got {planes.dtype} of shape {planes.shape}")
    return planes, _check_labels(path, batch["labels"], len(planes))


def _check_labels(path: Path, labels: object, count: int) -> npt.NDArray[np.int64]:
    values = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(values, list) or len(values) != count:
        got = f"{len(values)} of them" if isinstance(values, list) else type(values).__name__
        raise DataError(f"{path}: labels: expected a list of {count} labels, got {got}")
    for k, value in enumerate(values):
        if not isinstance(value, int) or not 0 <= value < len(CIFAR10_CLASS_NAMES):
            # A number of a million digits cannot be printed, and a list of a million numbers should not be.
            short = isinstance(value, int | float) and abs(value) < 1e9
            got = repr(value) if short else f"something else ({type(value).__name__})"
            raise DataError(f"{path}: expected labels 0 to 9, got {got} for image {k}")
    return np.array(values, np.int64)
