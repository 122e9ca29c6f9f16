"""How a command that fails ends: what it says, and its exit status."""

from __future__ import annotations

import sys

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def report_failure(message: str) -> int:
    """Print one line on standard error; returns the exit status for bad input."""
    print(f"minicnn: error: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT
