"""Files to which a run adds an object a line: adding, reading, forgetting what comes after a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from minicnn.errors import CheckpointError
from minicnn.training.durable import append_durably, write_durably

Record = dict[str, Any]


class RecordFile:
    """Adds lines to a file; those that the disk does not take wait in memory for the next attempt.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[bytes] = []
        self._length: int | None = None

    def add(self, record: Record) -> None:
        """Keep a record for the next `write`."""
        self._waiting.append(_line(record))

    def write(self) -> None:
        """Write what waits, down to the disk; an OSError leaves it waiting."""
        if self._waiting:
            self._length = append_durably(self.path, b"".join(self._waiting), self._length)
            self._waiting.clear()


def read_records(path: Path, is_record: Callable[[Any], bool] | None = None) -> list[Record]:
    """Read all lines; a last one that a crash cut short is left out, and so is what a power cut made of it.

    Parameters
    ----------
    path : Path
        Need not exist.
    is_record : callable, default=None
        Whether the object of a line is what it should be; by default one with a whole number "step".

    Raises
    ------
    CheckpointError
        If a line is something else.
    """
    if not path.exists():
        return []
    is_record = is_record or _has_a_step
    whole = path.read_bytes().partition(b"\0")[0]  # after a power cut, zeros stand for what was not written
    records = []
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise CheckpointError(f"{path}: damaged: line {number} is not JSON") from None
        if not is_record(record):
            raise CheckpointError(f"{path}: damaged: line {number} is no recording")
        records.append(record)
    return records


def keep_records(path: Path, is_kept: Callable[[int], bool]) -> list[Record]:
    """Forget the records of other steps, which an interrupted run may have left; return what is kept."""
    try:
        kept = [record for record in read_records(path) if is_kept(record["step"])]
    except CheckpointError as error:
        raise CheckpointError(f"{error}; nothing depends on this file: move it away to go on") from None
    if path.exists():
        write_records(path, kept)
    return kept


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Replace the file by these records."""
    write_durably(path, b"".join(map(_line, records)))


def _line(record: Record) -> bytes:
    return (json.dumps(record) + "\n").encode()


def _has_a_step(record: Any) -> bool:
    return isinstance(record, dict) and isinstance(record.get("step"), int)
