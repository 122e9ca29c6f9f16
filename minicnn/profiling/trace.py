"""A profile in the Chrome trace event format, which chrome://tracing and Perfetto draw.

The events used here, by their "ph":

    X   a slice with a beginning (ts) and a duration (dur), in microseconds, on the lane "tid"
    C   a value of a counter track
    M   metadata: names of lanes, and their order

Slices of one lane nest. Lane 0 has modules and ops; each further one the tiles that one thread worked on.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from minicnn.profiling.memory import Level
from minicnn.profiling.spans import Shape, Span, TileSpan

Event = dict[str, Any]

PROCESS = 1


def trace_events(
    spans: Sequence[Span], tiles: Sequence[TileSpan], levels: Sequence[Level], start: int
) -> list[Event]:
    """Return the events; times are counted from `start`."""
    threads = list(dict.fromkeys(tile.thread for tile in sorted(tiles, key=lambda tile: tile.start)))
    lanes = {thread: lane for lane, thread in enumerate(threads, start=1)}
    names = ["modules and ops", *(f"tiles, thread {lane}" for lane in lanes.values())]
    # Spans are in the order in which they ended; where times are equal, that still tells which is the outer.
    outer_first = sorted(spans[::-1], key=lambda span: (span.start, -span.end))
    return [
        *_metadata(names),
        *(_slice(_name(span), span.phase, 0, span, start, _facts(span)) for span in outer_first),
        *(_slice(tile.name, "tile", lanes[tile.thread], tile, start, {"tile": tile.index}) for tile in tiles),
        *(_counter(level, start) for level in levels),
    ]


def _metadata(names: Sequence[str]) -> Iterator[Event]:
    for lane, name in enumerate(names):
        yield {"ph": "M", "pid": PROCESS, "tid": lane, "name": "thread_name", "args": {"name": name}}
        yield {
            "ph": "M",
            "pid": PROCESS,
            "tid": lane,
            "name": "thread_sort_index",
            "args": {"sort_index": lane},
        }
    yield {"ph": "M", "pid": PROCESS, "tid": 0, "name": "process_name", "args": {"name": "minicnn"}}


def _slice(
    name: str, category: str, lane: int, when: Span | TileSpan, start: int, facts: dict[str, Any]
) -> Event:
    return {
        "ph": "X", "pid": PROCESS, "tid": lane, "name": name, "cat": category,
        "ts": (when.start - start) / 1000, "dur": (when.end - when.start) / 1000, "args": facts,
    }  # fmt: skip


def _name(span: Span) -> str:
    if span.phase == "module":
        return span.name.rpartition(".")[2]  # it lies inside of what the rest of its path names
    return f"{span.name} backward" if span.phase == "backward" else span.name


def _facts(span: Span) -> dict[str, Any]:
    if span.phase == "module":
        return {"path": span.name}
    if span.phase == "walk":
        return {}
    return {
        "layer": span.layer,
        "inputs": ", ".join(map(_shape, span.inputs)),
        "output": _shape(span.output),
        "dtype": span.dtype,
        "FLOP": span.flops,
        **({"kept bytes": span.kept_bytes} if span.phase == "forward" else {}),
    }


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _counter(level: Level, start: int) -> Event:
    return {
        "ph": "C", "pid": PROCESS, "name": "live bytes", "ts": (level.time - start) / 1000,
        "args": {"activations": level.activations, "gradients": level.gradients},
    }  # fmt: skip
