"""One part, in a process of its own.

    python -m benchmarks.gpu.part_process NAME FILE SECONDS SIZES

FILE is where its findings go, SIZES is "full" or "toy".
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.notes import Notes
from benchmarks.gpu.sizes import FULL, TOY


def main(arguments: Sequence[str]) -> None:
    """Run the part."""
    name, path, seconds, sizes = arguments
    run_part(name, Notes(Path(path), {"full": FULL, "toy": TOY}[sizes], float(seconds)))


def run_part(name: str, notes: Notes) -> None:
    """Run a part in this process."""
    importlib.import_module(f"benchmarks.gpu.parts.{name}").run(notes)


if __name__ == "__main__":
    main(sys.argv[1:])
