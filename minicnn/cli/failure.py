"""How a command that fails ends: what it says, and its exit status."""

from __future__ import annotations

import sys

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def report_failure(message: str) -> int:
    """Print one line on standard error; returns the exit status for bad input."""
    print(f"minicnn: error: {printable(message)}", file=sys.stderr)
    return BAD_INPUT


def printable(text: str) -> str:
    r"""Return text as one line that moves no cursor and changes no colour: names of files may hold anything.

    Examples
    --------
    >>> print(printable("two\n lines, \x1b[31m red"))
    two lines, \x1b[31m red
    """
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
