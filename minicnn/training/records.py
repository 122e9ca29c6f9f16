"""Files to which a run adds an object a line: reading them, and forgetting what comes after a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn.errors import CheckpointError
from minicnn.training.run_folder import write_whole


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Add a line."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read all lines, each an object with a "step"; a last line that a crash cut short is left out.

    Raises
    ------
    CheckpointError
        If a line is something else.
    """
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError:
            raise CheckpointError(f"{path}: damaged: line {number} is not JSON") from None
        if not isinstance(record, dict) or not isinstance(record.get("step"), int):
            raise CheckpointError(f"{path}: damaged: line {number} is no recording")
        records.append(record)
    return records


def keep_records(path: Path, is_kept: Callable[[int], bool]) -> list[dict[str, Any]]:
    """Forget the records of other steps, which an interrupted run may have left; return what is kept."""
    kept = [record for record in read_records(path) if is_kept(record["step"])]
    if path.exists():
        write_whole(path, "".join(json.dumps(record) + "\n" for record in kept))
    return kept
