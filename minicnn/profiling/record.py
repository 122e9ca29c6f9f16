"""What `minicnn.profile` found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from minicnn.errors import UsageError
from minicnn.profiling.memory import Level
from minicnn.profiling.rows import NANOSECONDS, Row, rows_by_layer, rows_by_op
from minicnn.profiling.spans import Phase, Span, TileSpan
from minicnn.profiling.table import MIB, rows_as_table
from minicnn.profiling.trace import trace_events
from minicnn.shapes import integer

By = Literal["op", "layer"]


class Record:
    """The spans and the memory of one `minicnn.profile()` block. `str()` is the table per op.

    Attributes
    ----------
    threads : int
        How many threads ops could use.
    spans : list of Span
        In the order in which they ended.
    tiles : list of TileSpan
    levels : list of Level
        How many bytes were alive, at each change.
    start, end : int
        When the block began and ended, in nanoseconds; end is None inside the block.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.spans: list[Span] = []
        self.tiles: list[TileSpan] = []
        self.levels: list[Level] = []
        self.start = 0
        self.end: int | None = None

    @property
    def seconds(self) -> float:
        """Wall time of the block."""
        return (self._end() - self.start) * NANOSECONDS

    @property
    def summing_seconds(self) -> float:
        """Time inside of `Tensor.backward` but outside of ops: adding up gradients, letting go of arrays."""
        return self._own("walk")

    @property
    def outside_seconds(self) -> float:
        """Time outside of ops and of `Tensor.backward`: optimizer, loader, Python."""
        return self.seconds - self._own("forward", "backward", "walk")

    @property
    def peak_bytes(self) -> int:
        """Most bytes alive at a time, of what ops made inside the block: activations and gradients."""
        return max((level.activations + level.gradients for level in self.levels), default=0)

    def rows(self, by: By = "op", depth: int | None = None) -> list[Row]:
        """Add up what belongs together.

        Parameters
        ----------
        by : "op" or "layer", default="op"
            Rows by op have the slowest first; rows by layer are in the order of execution.
        depth : int, optional
            By layer: how many parts of a path are told apart. With 1, an inception module is one row.

        Raises
        ------
        UsageError
            If `by` is something else, depth is given by op, or the block has not ended yet.
        ShapeError
            If depth is no whole number of at least 1.
        """
        self._end()
        if by not in ("op", "layer"):
            raise UsageError(f'profile: by: expected "op" or "layer", got {by!r}')
        if depth is not None and by == "op":
            raise UsageError('profile: depth: only layers are told apart by depth; it needs by="layer"')
        if depth is not None:
            integer("profile", "depth", depth, minimum=1)
        ops = [span for span in self.spans if span.phase in ("forward", "backward")]
        return rows_by_op(ops) if by == "op" else rows_by_layer(ops, depth)

    def table(self, by: By = "op", depth: int | None = None, steps: int = 1) -> str:
        """Return the rows as a table whose shares add up to the wall time of the block.

        Parameters
        ----------
        by, depth
            As for `rows`.
        steps : int, default=1
            Number of steps the block consisted of; all numbers are divided by it.

        Raises
        ------
        UsageError, ShapeError
            As for `rows`; and ShapeError if steps is no whole number of at least 1.
        """
        integer("profile", "steps", steps, minimum=1)
        rest = {"adding up gradients": self.summing_seconds, "outside of ops": self.outside_seconds}
        table = rows_as_table(by, self.rows(by, depth), rest, self.seconds, steps)
        return f"{table}\n{self._footnote(steps)}"

    def save_trace(self, path: str | Path) -> None:
        """Write a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open.

        Parameters
        ----------
        path : str or Path
            A file name that ends in .json.

        Raises
        ------
        UsageError
            If the block has not ended yet, or the file cannot be written.
        """
        text = self.trace_text()
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"profile: cannot write the trace to {path}: {error.strerror}") from None

    def trace_text(self) -> str:
        """Return what `save_trace` writes."""
        self._end()
        events = trace_events(self.spans, self.tiles, self.levels, self.start)
        return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"})

    def __str__(self) -> str:
        return self.table()

    def _footnote(self, steps: int) -> str:
        numbers = f"per step, mean of {steps}; " if steps > 1 else ""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{numbers}{threads}; peak of live activations and gradients {self.peak_bytes / MIB:,.1f} MiB"

    def _end(self) -> int:
        if self.end is None:
            raise UsageError("profile: the record can be looked at after the block, not inside it")
        return self.end

    def _own(self, *phases: Phase) -> float:
        return sum(span.own for span in self.spans if span.phase in phases) * NANOSECONDS
