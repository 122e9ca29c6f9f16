"""The folder of a run: what is in it, and in which order it is written.

    run.lock                         held by the process that trains; see `run_lock`
    config.json                      the settings and what has to be remembered of the data; written first
    metrics.jsonl                    one object an epoch
    checkpoint.safetensors           after the last completed epoch, or a step since
    checkpoint.previous.safetensors  the one before it
    curves.png                       loss, accuracy and learning rate so far
    profile.txt, profile.json        with --profile: tables and trace of a few steps
    gradients.jsonl, gradients.png   with --watch-gradients: gradients by layer over time
    findings.jsonl                   what the watch saw going wrong, if anything
    result.json                      test figures; written last: a run that has it is finished

Every file that a run is continued from is written beside its place first and then renamed into it; lines are
added to metrics.jsonl. A disk that takes nothing does not end a run: see `RunFolder.attempt`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from minicnn.errors import CheckpointError, MinicnnError, UsageError
from minicnn.training.checkpoint import Checkpoint, DataFacts, predecessor, save_checkpoint
from minicnn.training.config import Config
from minicnn.training.durable import reason_of, sync_folder, write_durably
from minicnn.training.newest_checkpoint import CHECKPOINT, newest_whole_checkpoint
from minicnn.training.records import RecordFile, read_records, write_records
from minicnn.training.run_lock import lock_folder
from minicnn.training.shell import resume_command

CONFIG = "config.json"
METRICS = "metrics.jsonl"
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

    Attributes
    ----------
    say : callable
        Takes a line for the user; `print`, unless it is replaced.
    trouble : dict of str to str
        For each file that could not be written, and has not been since, why.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.say: Callable[[str], None] = print
        self.trouble: dict[str, str] = {}
        self._records: dict[str, RecordFile] = {}
        self._locked = False
        self._newest_is_whole = True

    @classmethod
    def create(cls, path: str | Path, config: Config, data: DataFacts) -> RunFolder:
        """Make the folder of a new run and write its config.json.

        Raises
        ------
        UsageError
            If the folder holds a run already, or cannot be made.
        CheckpointError
            If another process is just making a run of it.
        """
        run = cls(path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            with run.locked():
                refuse_existing_run(path)
                text = json.dumps({**config.to_json(), **data.to_json()}, indent=2) + "\n"
                write_durably(run.path / CONFIG, text.encode())
                sync_folder(run.path.parent)
        except OSError as error:
            raise UsageError(
                f"--out: cannot make a run folder of {path}: {reason_of(error, run.path)}"
            ) from None
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
            facts = {
                field.name: content.pop(field.name) for field in fields(DataFacts) if field.name in content
            }
            return Config.from_json(content, str(path)), DataFacts.from_json(facts)
        except MinicnnError as error:
            raise CheckpointError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise CheckpointError(f"{path}: damaged ({error!r})") from None

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest checkpoint is."""
        return self.path / CHECKPOINT

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run inside a ``with`` block; blocks may be nested.

        Raises
        ------
        CheckpointError
            If another process does.
        """
        if self._locked:
            yield
            return
        with lock_folder(self.path, self.say):
            self._locked = True
            self._records.clear()  # what an earlier block knew of the files may be true no longer
            self.trouble.clear()
            try:
                yield
            finally:
                self._locked = False

    def attempt(self, name: str, write: Callable[[], object]) -> bool:
        """Write a file; if the disk does not take it, say so once and note it in `trouble`.

        Parameters
        ----------
        name : str
            Of the file.
        write : callable
            Raises OSError if it fails.

        Returns
        -------
        bool
            Whether it worked.
        """
        path = self.path / name
        try:
            write()
        except OSError as error:
            if name not in self.trouble:
                self.say(
                    f"{path}: cannot be written: {reason_of(error, path)}; training goes on, and it is "
                    "tried again at the next occasion"
                )
            self.trouble[name] = reason_of(error, path)
            return False
        if self.trouble.pop(name, None) is not None:
            self.say(f"{path}: is written again")
        return True

    def save_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Write a checkpoint and keep the one before it, unless that was found damaged; say if it worked."""
        self.write_records()  # first: a run that goes on from here must find the lines before it
        saved = self.attempt(
            CHECKPOINT, lambda: save_checkpoint(checkpoint, self.checkpoint_path, self._newest_is_whole)
        )
        self._newest_is_whole |= saved
        return saved

    def load_checkpoint(self) -> tuple[Checkpoint | None, str | None]:
        """Read the newest checkpoint that is whole.

        Returns
        -------
        checkpoint : Checkpoint or None
            None if there is none yet.
        notice : str or None
            What to tell the user if it is the predecessor.
        """
        found = newest_whole_checkpoint(self.path)
        if found is None:
            return None, None
        self._newest_is_whole = found.notice is None
        return found.checkpoint, found.notice

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Add a line to a file of records; it waits in memory if the disk does not take it."""
        file = self._records.setdefault(name, RecordFile(self.path / name))
        file.add(record)
        self.attempt(name, file.write)

    def write_records(self) -> bool:
        """Try again to write the lines that wait; say if none is left."""
        written = [self.attempt(name, file.write) for name, file in self._records.items()]
        return all(written)

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add the line of one epoch to metrics.jsonl."""
        self.append(METRICS, row)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read metrics.jsonl; a last line that a crash cut short is left out."""
        return read_records(self.path / METRICS, _has_an_epoch)

    def keep_metrics(self, checkpoint: Checkpoint | None) -> list[dict[str, Any]]:
        """Put metrics.jsonl in the state of a checkpoint, or of the start; return its lines."""
        if checkpoint is None:
            rows = []
        elif checkpoint.metrics is None:  # of an earlier version, whose checkpoints do not hold them
            rows = [row for row in self.read_metrics() if row["epoch"] <= checkpoint.epoch]
        else:
            rows = list(checkpoint.metrics)
        if rows or (self.path / METRICS).exists():
            write_records(self.path / METRICS, rows)
        return rows

    def write_result(self, result: dict[str, Any]) -> bool:
        """Write result.json: the run is finished. Say if it worked."""
        content = (json.dumps(result, indent=2) + "\n").encode()
        return self.attempt(RESULT, lambda: write_durably(self.path / RESULT, content))

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


def refuse_existing_run(path: str | Path) -> None:
    """Raise UsageError if a folder holds a run already, or what is left of one."""
    folder = Path(path)
    if (folder / CONFIG).exists():
        raise UsageError(
            f"--out: {path} already holds a run ({CONFIG}); take another folder, or continue it with "
            f"{resume_command(path)}"
        )
    for left in (CHECKPOINT, predecessor(Path(CHECKPOINT)).name, RESULT):
        if (folder / left).exists():  # or the new run would be taken for a continuation of the old one
            raise UsageError(f"--out: {path} holds the {left} of another run; take another folder")


def _has_an_epoch(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("epoch"), int)
