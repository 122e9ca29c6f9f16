"""Rows of a profile as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minicnn.profiling.rows import Row

MIB = 1 << 20
COLUMNS = ("calls", "forward ms", "backward ms", "total ms", "share", "GFLOP/s", "kept MiB")


def rows_as_table(
    head: str,
    rows: Sequence[Row],
    rest: Mapping[str, float],
    seconds: float,
    steps: int,
) -> str:
    """Put rows, and the time that belongs to none of them, into a table with a total.

    Parameters
    ----------
    head : str
        Heading of the names.
    rows : sequence of Row
    rest : mapping of str to float
        Seconds of what is no row.
    seconds : float
        What is 100%.
    steps : int
        What all numbers but shares and rates are divided by.
    """
    total = Row(
        "total",
        sum(row.calls for row in rows),
        sum(row.forward_seconds for row in rows),
        sum(row.backward_seconds for row in rows),
        kept_bytes=sum(row.kept_bytes for row in rows),
    )
    body = [_cells(row, row.seconds, seconds, steps) for row in rows]
    others = [[name, "", "", "", *_time(spent, seconds, steps), "", ""] for name, spent in rest.items()]
    lines = [[head, *COLUMNS], *body, *others, _cells(total, seconds, seconds, steps)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    padded = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    rule = "-" * len(padded[0])
    return "\n".join(line.rstrip() for line in [padded[0], rule, *padded[1:-1], rule, padded[-1]])


def _cells(row: Row, spent: float, seconds: float, steps: int) -> list[str]:
    rate = row.gflops_per_second
    return [
        row.name,
        f"{row.calls / steps:,.4g}",
        _milliseconds(row.forward_seconds / steps),
        _milliseconds(row.backward_seconds / steps),
        *_time(spent, seconds, steps),
        f"{rate:.1f}" if rate is not None else "",
        f"{row.kept_bytes / steps / MIB:,.2f}",
    ]


def _time(spent: float, seconds: float, steps: int) -> tuple[str, str]:
    return _milliseconds(spent / steps), f"{spent / seconds:.1%}" if seconds else ""


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f}"
