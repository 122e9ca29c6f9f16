"""What every experiment leaves behind: a table on the terminal, a picture, the numbers."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from minicnn.cli.checks import check_output_file
from minicnn.errors import UsageError
from minicnn.training.durable import write_durably


class Findings(Protocol):
    """An experiment's measurements: `str()` is the table with its verdict."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as what `json.dumps` takes."""

    def draw(self, path: str | Path) -> None:
        """Draw the picture into a PNG file."""


class Output:
    """Writes picture and numbers after every seed, and prints the table at the end.

    A context manager around the measuring: Ctrl-C ends it, and what the seeds before gave is printed.

    Parameters
    ----------
    options : argparse.Namespace
        Its `png` names the picture, and the numbers lie beside it; files that are there already are replaced
        if it says `force`; its `format` is "table" or "json".
    name : str
        Of the experiment.

    Attributes
    ----------
    title : str
        First line of what is printed.
    status : int
        Exit status: 130 after Ctrl-C.
    """

    def __init__(self, options: argparse.Namespace, name: str) -> None:
        png = f"{name}.png" if options.png is None else options.png
        check_output_file("--png", png, ".png")
        self.picture = Path(png)
        self.numbers = self.picture.with_suffix(".json")
        check_output_file("--png", self.numbers)
        for file in (self.picture, self.numbers):  # what took minutes to measure
            if file.exists() and not options.force:
                raise UsageError(
                    f"{file} is there already, of an earlier experiment perhaps: --png FILE.png takes "
                    "another name, --force replaces it"
                )
        self.as_json = options.format == "json"
        self.name = name
        self.title = ""
        self.status = 0
        self._found: Findings | None = None
        self._start = time.perf_counter()

    def keep(self, found: Findings) -> None:
        """Write what is known so far."""
        self._found = found
        write_durably(self.numbers, (json.dumps(found.to_json(), indent=1) + "\n").encode())
        found.draw(self.picture)

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        stopped = isinstance(error, KeyboardInterrupt)
        if error is not None and not stopped:
            return False
        if self._found is not None:
            self._print(self._found)
        if stopped:
            kept = "no seed was finished" if self._found is None else "this is what the finished seeds gave"
            print(f"minicnn: {self.name}: stopped; {kept}", file=sys.stderr)
            self.status = 130
        return stopped

    def _print(self, found: Findings) -> None:
        if self.as_json:
            print(json.dumps(found.to_json(), indent=1))
            return
        print(
            f"{self.title}\n{found}\n{time.perf_counter() - self._start:.0f} s; "
            f"the picture is {self.picture}, the numbers are in {self.numbers}"
        )
