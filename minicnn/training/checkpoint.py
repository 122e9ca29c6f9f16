"""Checkpoints: one safetensors file with arrays, and JSON in its header for everything else.

    model.<parameter>       the weights
    velocity.<parameter>    the optimizer's velocities
    average.<parameter>     Polyak averages, if the run keeps them

The header holds the config, class names, normalisation, epoch, step and step within the epoch, the state of
schedule and optimizer, and what has been counted so far. No generator has a state: every random number is a
function of the seed, which the config has, and of where in training it is used (`minicnn.random`). The arrays
are functions of config and step alone, so those of two runs can be compared bit by bit. One file is enough to
predict with, and to go on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.backend import to_numpy
from minicnn.data import Normalisation
from minicnn.errors import CheckpointError, MinicnnError
from minicnn.training.checkpoint_file import decode, encode
from minicnn.training.config import Config
from minicnn.training.durable import write_durably

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
    checksum : str or None
        SHA-256 of all images and labels, those of the test too; None in runs of earlier versions.
    """

    class_names: tuple[str, ...]
    train_images: int
    val_images: int
    normalisation: Normalisation
    checksum: str | None = None

    def agree_with(self, others: DataFacts) -> bool:
        """Say whether both are of the same images, as far as both know."""
        if None in (self.checksum, others.checksum):
            return replace(self, checksum=None) == replace(others, checksum=None)
        return self == others

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
            facts.get("checksum"),
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
        What JSON can hold of the state of optimizer, schedule and averaging, and of an epoch under way.
    step_of_epoch : int
        How many steps of the next epoch are completed, too.
    metrics : list of dict, or None
        What metrics.jsonl has up to here; None if an earlier version wrote the checkpoint.
    """

    config: Config
    data: DataFacts
    epoch: int
    step: int
    weights: dict[str, np.ndarray]
    velocity: dict[str, np.ndarray] = field(default_factory=dict)
    averages: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    step_of_epoch: int = 0
    metrics: list[dict[str, Any]] | None = None

    @property
    def final_weights(self) -> dict[str, np.ndarray]:
        """The weights to predict with: the averages, if there are any."""
        return self.averages or self.weights

    @property
    def place(self) -> str:
        """Where in training it was made, in words."""
        return place_in_words(self.epoch, self.step_of_epoch)


def place_in_words(epoch: int, step_of_epoch: int) -> str:
    """Say where in training something is.

    Examples
    --------
    >>> place_in_words(2, 0), place_in_words(2, 17)
    ('epoch 2', 'step 17 of epoch 3')
    """
    return f"step {step_of_epoch} of epoch {epoch + 1}" if step_of_epoch else f"epoch {epoch}"


def save_checkpoint(checkpoint: Checkpoint, path: Path, keep: bool = True) -> None:
    """Write a checkpoint so that a crash at any moment leaves a whole one.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : Path
    keep : bool, default=True
        Whether the present checkpoint becomes the `predecessor`; one that is damaged should not.

    Raises
    ------
    OSError
        If it cannot be written; then the one before is still there.
    """
    arrays = {
        f"{kind}.{name}": np.ascontiguousarray(to_numpy(array))
        for kind, group in zip(
            KINDS, (checkpoint.weights, checkpoint.velocity, checkpoint.averages), strict=True
        )
        for name, array in group.items()
    }
    header = {
        "config": checkpoint.config.to_json(),
        "data": checkpoint.data.to_json(),
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "step_of_epoch": checkpoint.step_of_epoch,
        "state": checkpoint.state,
        "metrics": checkpoint.metrics,
    }
    write_durably(path, encode(header, arrays), predecessor(path) if keep else None)


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
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    groups: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in KINDS}
    try:
        header, arrays = decode(path)
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
            header.get("step_of_epoch", 0),  # neither this nor the next is in files of format 1
            header.get("metrics"),
        )
    except MinicnnError as error:
        raise CheckpointError(f"{path}: {str(error).removeprefix(f'{path}: ')[:LONGEST_ERROR]}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        # The last two: a number of 400 digits, and lists in lists in lists.
        what = repr(error)[:LONGEST_ERROR]
        raise CheckpointError(f"{path}: its run header is damaged ({what})") from None
