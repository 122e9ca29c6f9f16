"""Which checkpoint of a run is used: the newest one, or, if that is damaged, the one before it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from minicnn.errors import CheckpointError
from minicnn.training.checkpoint import Checkpoint, load_checkpoint, predecessor

CHECKPOINT = "checkpoint.safetensors"
SECONDS_BETWEEN = 0.1  # two renamings take far less


class LoadedCheckpoint(NamedTuple):
    """A checkpoint, and where it came from.

    Attributes
    ----------
    checkpoint : Checkpoint
    file : Path
    notice : str or None
        What to tell the user if it is not the newest.
    """

    checkpoint: Checkpoint
    file: Path
    notice: str | None = None


def newest_whole_checkpoint(folder: Path) -> LoadedCheckpoint | None:
    """Read the newest checkpoint in the folder of a run that is whole; None if there is none yet.

    Raises
    ------
    CheckpointError
        If there are some, and all are damaged.
    """
    newest = folder / CHECKPOINT
    older = predecessor(newest)
    if not newest.exists() and not older.exists():
        return None
    try:
        return LoadedCheckpoint(_load_twice(newest), newest)
    except CheckpointError as error:
        if not older.exists():
            raise
        problem = str(error)
    try:
        checkpoint = load_checkpoint(older)
    except CheckpointError as error:
        raise CheckpointError(f"{problem}; of the one before it, {error}; there is no other") from None
    return LoadedCheckpoint(
        checkpoint, older, f"{problem}; going back to {older.name}, after {checkpoint.place}"
    )


def _load_twice(newest: Path) -> Checkpoint:
    """Read a checkpoint; if it cannot be read, wait a moment and try again.

    A run that goes on renames it to be the predecessor, and then renames another into its place.
    """
    try:
        return load_checkpoint(newest)
    except CheckpointError:
        time.sleep(SECONDS_BETWEEN)
        return load_checkpoint(newest)


def find_checkpoint(path: str | Path) -> LoadedCheckpoint:
    """Read the checkpoint that a user means by a file or by the folder of a run.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged; of a folder, only if the one before the newest is, too.
    """
    path = Path(path)
    if path.is_file():
        return LoadedCheckpoint(load_checkpoint(path), path)
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such checkpoint or folder")
    if found := newest_whole_checkpoint(path):
        return found
    raise CheckpointError(f"{path}: neither a checkpoint nor the folder of a run that has one yet")
