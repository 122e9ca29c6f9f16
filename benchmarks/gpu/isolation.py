"""Running a command with a limit on its time, whatever it does: raise, hang, or take the process with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LAST_LINES = 12  # of what it wrote, when it failed


class Ended(NamedTuple):
    """How a command ended.

    Attributes
    ----------
    status : int or None
        Exit status, negative for a signal; None: its time was up.
    output : str
        All it wrote, to standard output and error.
    seconds : float
    """

    status: int | None
    output: str
    seconds: float

    @property
    def last_lines(self) -> str:
        """The end of what it wrote."""
        return "\n".join(self.output.strip().splitlines()[-LAST_LINES:])


def run_command(
    command: Sequence[str],
    seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Ended:
    """Run a command to its end, or kill it and all it has started when its time is up."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
        status: int | None = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(max(seconds, 0.1))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its own group, so nobody else is hit
            process.wait()
        output.seek(0)
        return Ended(status, output.read(), time.monotonic() - started)
