"""The error a user reads."""

from __future__ import annotations

from minicnn.errors import MinicnnError


class BenchmarkError(MinicnnError):
    """A benchmark cannot be run, or must not be believed: one line that says why."""
