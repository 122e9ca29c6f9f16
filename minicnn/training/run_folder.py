"""The folder of a run: what is in it, and in which order it is written.

    config.json                      the settings and what has to be remembered of the data; written first
    metrics.jsonl                    one object an epoch
    checkpoint.safetensors           after the last completed epoch
    checkpoint.previous.safetensors  after the one before it
    curves.png                       loss, accuracy and learning rate so far
    profile.txt, profile.json        with --profile: tables and trace of a few steps
    gradients.jsonl, gradients.png   with --watch-gradients: gradients by layer over time
    findings.jsonl                   what the watch saw going wrong, if anything
    result.json                      test figures; written last: a run that has it is finished

Every file that a run is continued from is written beside its place first and then renamed into it; lines are
added to metrics.jsonl.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from minicnn.errors import CheckpointError, UsageError
from minicnn.training.checkpoint import Checkpoint, DataFacts, load_checkpoint, predecessor, save_checkpoint
from minicnn.training.config import Config

CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.safetensors"
CURVES = "curves.png"
PROFILE_TABLES = "profile.txt"
PROFILE_TRACE = "profile.json"
RESULT = "result.json"


class RunFolder:
    """Reads and writes the files of one run.

    Parameters
    ----------
    path : str or Path
        Use `create` or `open` instead of the constructor: they check what is there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: str | Path, config: Config, data: DataFacts) -> RunFolder:
        """Make the folder of a new run and write its config.json.

        Raises
        ------
        UsageError
            If the folder holds a run already, or cannot be made.
        """
        refuse_existing_run(path)
        run = cls(path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            text = json.dumps({**config.to_json(), **data.to_json()}, indent=2) + "\n"
            write_whole(run.path / CONFIG, text)
        except OSError as error:
            raise UsageError(f"--out: cannot make a run folder of {path}: {error.strerror}") from None
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open the folder of an existing run.

        Raises
        ------
        CheckpointError
            If there is no run.
        """
        run = cls(path)
        if not (run.path / CONFIG).is_file():
            reason = f"it has no {CONFIG}" if run.path.is_dir() else "there is no such folder"
            raise CheckpointError(f"{path}: not the folder of a run: {reason}")
        return run

    def read_config(self) -> tuple[Config, DataFacts]:
        """Read config.json."""
        path = self.path / CONFIG
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            facts = {field.name: content.pop(field.name) for field in fields(DataFacts)}
            return Config.from_json(content, str(path)), DataFacts.from_json(facts)
        except CheckpointError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: damaged ({error!r})") from None

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest checkpoint is."""
        return self.path / CHECKPOINT

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint of a completed epoch and keep the one before it."""
        save_checkpoint(checkpoint, self.checkpoint_path)

    def load_checkpoint(self) -> tuple[Checkpoint | None, str | None]:
        """Read the newest checkpoint that is whole.

        Returns
        -------
        checkpoint : Checkpoint or None
            None if no epoch was completed yet.
        notice : str or None
            What to tell the user if it is the predecessor.
        """
        newest = self.checkpoint_path
        older = predecessor(newest)
        if not newest.exists() and not older.exists():
            return None, None
        try:
            return load_checkpoint(newest), None
        except CheckpointError as error:
            if not older.exists():
                raise
            checkpoint = load_checkpoint(older)
            return checkpoint, f"{error}; going back to {older.name}, after epoch {checkpoint.epoch}"

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add the line of one epoch to metrics.jsonl."""
        with open(self.path / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read metrics.jsonl; a last line that a crash cut short is left out."""
        path = self.path / METRICS
        if not path.exists():
            return []
        rows = []
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            try:
                rows.append(json.loads(line))
            except ValueError:
                raise CheckpointError(f"{path}: damaged: line {len(rows) + 1} is not JSON") from None
        return rows

    def keep_metrics(self, epochs: int) -> list[dict[str, Any]]:
        """Forget the lines of epochs after `epochs`, which a crash may have left; return the others."""
        rows = [row for row in self.read_metrics() if row["epoch"] <= epochs]
        if (self.path / METRICS).exists():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            write_whole(self.path / METRICS, text)
        return rows

    def write_result(self, result: dict[str, Any]) -> None:
        """Write result.json: the run is finished."""
        write_whole(self.path / RESULT, json.dumps(result, indent=2) + "\n")

    def read_result(self) -> dict[str, Any] | None:
        """Read result.json, or return None if the run is not finished."""
        path = self.path / RESULT
        if not path.exists():
            return None
        try:
            result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise CheckpointError(f"{path}: damaged: it is not JSON") from None
        return result


def write_whole(path: Path, text: str) -> None:
    """Replace a file's text so that a crash leaves the old or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def refuse_existing_run(path: str | Path) -> None:
    """Raise UsageError if a folder holds a run already."""
    if (Path(path) / CONFIG).exists():
        raise UsageError(
            f"--out: {path} already holds a run ({CONFIG}); take another folder, or continue it with "
            f"minicnn train --resume {path}"
        )


def claim_free_folder(config: Config, root: str | Path = "runs") -> Path:
    """Make a folder for a run that was not given one: ``runs/googlenet-cifar-shapes-3``.

    The number is one more than the highest there is, so that runs sort by age and no name is used again.

    Raises
    ------
    UsageError
        If no folder can be made there.
    """
    stem = f"{config.model}-{config.data}-"
    while True:
        taken = [path.name.removeprefix(stem) for path in Path(root).glob(stem + "*")]
        number = max((int(text) for text in taken if text.isdecimal()), default=0) + 1
        path = Path(root) / f"{stem}{number}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if Path(root).is_dir():  # another run took this number a moment ago
                continue
            raise UsageError(f"--out: cannot make a folder in {root}: it is no folder") from None
        except OSError as error:
            raise UsageError(f"--out: cannot make a folder in {root}: {error.strerror}") from None
        return path


def find_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint that a user means by a file or by the folder of a run.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such checkpoint or folder")
    for checkpoint in (path / CHECKPOINT, predecessor(path / CHECKPOINT)):
        if checkpoint.is_file():  # the newest can be missing if a crash came between two renamings
            return checkpoint
    if (path / CONFIG).is_file():
        raise CheckpointError(f"{path}: this run has no checkpoint yet; its first epoch was not completed")
    raise CheckpointError(f"{path}: neither a checkpoint nor the folder of a run")
