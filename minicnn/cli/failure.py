"""How a command says what is wrong with its input."""

from __future__ import annotations

import sys

BAD_INPUT = 2


def report_failure(message: str) -> int:
    """Print one line on standard error; returns the exit status for bad input."""
    print(f"minicnn: error: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT
