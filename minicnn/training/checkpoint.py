"""Checkpoints: one safetensors file with arrays, and JSON in its header for everything else.

    model.<parameter>       the weights
    velocity.<parameter>    the optimizer's velocities
    average.<parameter>     Polyak averages, if the run keeps them

The header holds the config, class names, normalisation, epoch and step, and the state of schedule and
optimizer. The arrays are functions of config and step alone, so those of two runs can be compared bit by
bit. One file is enough to predict with.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.backend import to_numpy
from minicnn.data import Normalisation
from minicnn.errors import CheckpointError, MinicnnError
from minicnn.training.config import Config

HEADER_KEY = "minicnn"
FORMAT = 1
KINDS = ("model", "velocity", "average")
LONGEST_ERROR = 500  # characters: an error may quote what it found, and that may have millions


@dataclass(frozen=True)
class DataFacts:
    """What a run has to remember of its data.

    Attributes
    ----------
    class_names : tuple of str
    train_images, val_images : int
        How many there are.
    normalisation : Normalisation
        Measured on the training images.
    """

    class_names: tuple[str, ...]
    train_images: int
    val_images: int
    normalisation: Normalisation

    def to_json(self) -> dict[str, Any]:
        """Return the facts as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> DataFacts:
        """Read what `to_json` gave."""
        names = facts["class_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CheckpointError("the names of its classes are damaged: expected a list of texts")
        return cls(
            tuple(names),
            facts["train_images"],
            facts["val_images"],
            Normalisation(**facts["normalisation"]),
        )


@dataclass
class Checkpoint:
    """Everything needed to continue a run, or to use its network.

    Attributes
    ----------
    config : Config
    data : DataFacts
    epoch, step : int
        How many are completed.
    weights, velocity, averages : dict of array
        By parameter name; `averages` is empty without averaging.
    state : dict
        What JSON can hold of the state of optimizer, schedule and averaging.
    """

    config: Config
    data: DataFacts
    epoch: int
    step: int
    weights: dict[str, np.ndarray]
    velocity: dict[str, np.ndarray] = field(default_factory=dict)
    averages: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def final_weights(self) -> dict[str, np.ndarray]:
        """The weights to predict with: the averages, if there are any."""
        return self.averages or self.weights


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint so that a crash at any moment leaves a whole one.

    It goes to a temporary file first, down to the disk; then the present checkpoint becomes the
    predecessor (see `predecessor`), and the new file takes its place.
    """
    from safetensors.numpy import save

    arrays = {
        f"{kind}.{name}": np.ascontiguousarray(to_numpy(array))
        for kind, group in zip(
            KINDS, (checkpoint.weights, checkpoint.velocity, checkpoint.averages), strict=True
        )
        for name, array in group.items()
    }
    header = {
        "format": FORMAT,
        "config": checkpoint.config.to_json(),
        "data": checkpoint.data.to_json(),
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "state": checkpoint.state,
        "checksum": _checksum(arrays),
    }
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(save(arrays, {HEADER_KEY: json.dumps(header)}))
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        os.replace(path, predecessor(path))
    os.replace(temporary, path)


def _checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of all arrays, in the order of their names: safetensors would not notice a flipped bit."""
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(arrays[name].data, zlib.crc32(name.encode(), checksum))
    return checksum


def predecessor(path: Path) -> Path:
    """Return where the checkpoint before the present one is kept.

    Examples
    --------
    >>> predecessor(Path("runs/1/checkpoint.safetensors")).name
    'checkpoint.previous.safetensors'
    """
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged, or not one of minicnn's.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        with safe_open(path, framework="numpy") as file:
            header_text = (file.metadata() or {}).get(HEADER_KEY)
            if header_text is None:
                raise CheckpointError(
                    f"{path}: a safetensors file, but not a checkpoint of minicnn's: it has no run header"
                )
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged, or not a safetensors file ({error})") from None
    except (TypeError, AttributeError) as error:  # how bfloat16 and floats of 8 bits fail
        raise CheckpointError(f"{path}: an array has a dtype that NumPy does not have ({error})") from None
    groups: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in KINDS}
    try:
        header = json.loads(header_text)
        if header["format"] != FORMAT:
            raise CheckpointError(f"written in format {header['format']}, this version reads {FORMAT}")
        if header["checksum"] != _checksum(arrays):
            raise CheckpointError("damaged: its arrays do not have the checksum they were written with")
        for key, array in arrays.items():
            kind, _, name = key.partition(".")
            groups[kind][name] = array
        return Checkpoint(
            Config.from_json(header["config"], str(path)),
            DataFacts.from_json(header["data"]),
            header["epoch"],
            header["step"],
            groups["model"],
            groups["velocity"],
            groups["average"],
            header["state"],
        )
    except MinicnnError as error:
        raise CheckpointError(f"{path}: {str(error).removeprefix(f'{path}: ')[:LONGEST_ERROR]}") from None
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        # The last two: a number of 400 digits, and lists in lists in lists.
        what = repr(error)[:LONGEST_ERROR]
        raise CheckpointError(f"{path}: its run header is damaged ({what})") from None
