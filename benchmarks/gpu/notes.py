"""What a part has found so far, in a file: a process that is killed leaves what it had."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.sizes import Sizes


class Notes:
    """The findings of one part, by name.

    Parameters
    ----------
    path : Path
        Written anew with each finding.
    sizes : Sizes
        What the part is to work on.
    seconds : float
        How long it may take; then its process is killed, so it had better look at `left`.
    """

    def __init__(self, path: Path, sizes: Sizes, seconds: float) -> None:
        self.path = path
        self.sizes = sizes
        self.found: dict[str, Any] = {}
        self._deadline = time.monotonic() + seconds

    def note(self, name: str, value: Any) -> None:
        """Keep a finding."""
        self.found[name] = value
        write_json(self.path, self.found)

    def add(self, name: str, value: Any) -> None:
        """Keep one more finding of a list."""
        self.note(name, [*self.found.get(name, []), value])

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._deadline - time.monotonic()


def write_json(path: Path, content: Any) -> None:
    """Write a file beside its place and move it there: nobody ever reads half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
