"""How a command that fails ends: what it says, and its exit status."""

from __future__ import annotations

import re
import sys

from minicnn.cli.plain_output import printable

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def report_failure(message: str) -> int:
    """Print one line on standard error; returns the exit status for bad input."""
    print(f"minicnn: error: {one_line(message)}", file=sys.stderr)
    return BAD_INPUT


def one_line(message: str) -> str:
    r"""Return a message as one line that commands no terminal.

    Examples
    --------
    >>> one_line("first\n  second")
    'first second'
    """
    return printable(re.sub(r"\s*[\r\n]\s*", " ", message))
