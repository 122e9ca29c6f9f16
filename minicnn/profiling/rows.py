"""Spans added up: one row for all passes of an op, or of a layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minicnn.profiling.spans import Span

NANOSECONDS = 1e-9


@dataclass
class Row:
    """What an op, or the ops of a layer, took in all.

    Attributes
    ----------
    name : str
        Name of the op, or path of the layer; an op outside of modules stands for itself.
    calls : int
        Number of forward passes.
    forward_seconds, backward_seconds : float
    forward_flops, backward_flops : int
        Floating-point operations of convolutions and matrix products (two for each multiplication, with
        its addition); other ops count none.
    kept_bytes : int
        Bytes of arrays that the forward passes made and kept for the backward pass.
    """

    name: str
    calls: int = 0
    forward_seconds: float = 0.0
    backward_seconds: float = 0.0
    forward_flops: int = 0
    backward_flops: int = 0
    kept_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward_seconds + self.backward_seconds

    @property
    def gflops_per_second(self) -> float | None:
        """Billions of floating-point operations in a second; None if none were counted."""
        flops = self.forward_flops + self.backward_flops
        return flops / self.seconds / 1e9 if flops and self.seconds else None


def rows_by_op(spans: Iterable[Span]) -> list[Row]:
    """Return a row for each op, the one that took longest first."""
    return sorted(_add_up((span.name, span) for span in spans), key=lambda row: -row.seconds)


def rows_by_layer(spans: Sequence[Span], depth: int | None = None) -> list[Row]:
    """Return a row for each layer in order of execution; with `depth`, only so many parts of its path."""
    return _add_up((".".join(span.layer.split(".")[:depth]) or span.name, span) for span in spans)


def _add_up(named: Iterable[tuple[str, Span]]) -> list[Row]:
    rows: dict[str, Row] = {}
    for name, span in named:
        row = rows.setdefault(name, Row(name))
        if span.phase == "forward":
            row.calls += 1
            row.forward_seconds += span.own * NANOSECONDS
            row.forward_flops += span.flops
            row.kept_bytes += span.kept_bytes
        elif span.phase == "backward":
            row.backward_seconds += span.own * NANOSECONDS
            row.backward_flops += span.flops
    return list(rows.values())
