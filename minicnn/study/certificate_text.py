"""A certificate for a terminal: a table of verdicts, the reasons below it, and the sums."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence

from minicnn.study.certificate_rows import Entry, Reading
from minicnn.study.misprints import K, M
from minicnn.study.paper_table import PAPER_TABLE
from minicnn.study.stages import WIDTHS
from minicnn.study.text_tables import Column, as_text

TEXT_WIDTH = 108
GEOMETRY = ("patch/stride", "output", "depth")


def certificate_lines(
    entries: Sequence[Entry], readings: Sequence[Reading], weights: int, macs: int
) -> Iterator[str]:
    """Yield the lines of a certificate."""
    yield "Table 1 of the GoogLeNet paper (arXiv 1409.4842), recomputed: ours, the paper's, and the verdict"
    reasons = [entry for entry in entries if not entry.agrees]
    notes = {(entry.row, entry.column): f"[{number}]" for number, entry in enumerate(reasons, start=1)}
    table = list(_table(entries, notes))
    rule = "-" * max(map(len, table))
    yield from [table[0], rule, *table[1:], rule]
    yield f"agree: {_counts(entries)}"
    left_out = " and ".join(row.name for row in PAPER_TABLE if not row.stages)
    yield f"not compared: {left_out}; one does nothing at inference, the other is part of the loss"
    yield ""
    for entry in reasons:
        why = entry.why or f"ours {entry.ours or 'none'}, the paper's {entry.paper or 'none'}"
        yield from _wrapped(f"{notes[entry.row, entry.column]:<4} {entry.row}, {entry.column}: {why}", 5)
    if reasons:
        yield ""
    yield from _wrapped(_thousands(readings), 2)
    yield from _wrapped(_sum_of_params(weights), 2)
    yield from _wrapped(_sum_of_operations(entries, macs), 2)


def _table(entries: Sequence[Entry], notes: dict[tuple[str, str], str]) -> list[str]:
    headings = ["row", "patch/stride", "output", "depth", "widths", "params", "paper", "", "ops", "paper", ""]
    columns = [Column(text, left=place in (0, 1, 2, 3, 4, 7, 10)) for place, text in enumerate(headings)]
    lines = []
    for _, group in itertools.groupby(entries, key=lambda entry: entry.row):  # max pools are never neighbours
        own = list(group)
        by_column = {entry.column: entry for entry in own}
        line = [own[0].row]
        for column in GEOMETRY:
            entry = by_column.get(column)
            line.append("" if entry is None else f"{entry.ours} {_verdict(entry, notes, equal='=')}")
        widths = [by_column[column] for column in WIDTHS.values() if column in by_column]
        differing = " ".join(notes[w.row, w.column] for w in widths if not w.agrees)
        line.append(differing or ("" if not widths else f"all {len(widths)} ="))
        for column in ("params", "ops"):
            entry = by_column.get(column)
            line += ["", "", ""] if entry is None else [entry.ours, entry.paper, _verdict(entry, notes)]
        lines.append(line)
    return as_text(columns, lines)


def _verdict(entry: Entry, notes: dict[tuple[str, str], str], equal: str = "agree") -> str:
    return equal if entry.agrees else f"differ {notes[entry.row, entry.column]}"


def _counts(entries: Sequence[Entry]) -> str:
    parts = []
    for name, columns in [
        *((column, [column]) for column in GEOMETRY),
        ("widths", list(WIDTHS.values())),
        ("params", ["params"]),
        ("ops", ["ops"]),
    ]:
        those = [entry.agrees for entry in entries if entry.column in columns]
        parts.append(f"{name} {sum(those)} of {len(those)}")
    return ", ".join(parts)


def _thousands(readings: Sequence[Reading]) -> str:
    first = readings[0]
    total = sum(row.params is not None for row in PAPER_TABLE)
    others = ", ".join(
        f"{other.agreeing} of {total} with K = {other.thousand} "
        f"{'and' if other.with_biases else 'without'} biases"
        for other in readings
    )
    exact = f" So {' and '.join(first.exact)} are what is printed, exactly." if first.exact else ""
    return f"A K is {first.thousand}, an M 10^6, and biases are left out.{exact} Params that agree: {others}."


def _sum_of_params(weights: int) -> str:
    printed = sum(row.params.value for row in PAPER_TABLE if row.params)
    return (
        f"Sum of params: ours {weights:,} weights = {weights / K:,.1f}K. The paper's column adds up to "
        f"{printed:,.1f}K, which is {printed * K:,.0f} (a lecture reads it as {printed * 1000:,.0f})."
    )


def _sum_of_operations(entries: Sequence[Entry], macs: int) -> str:
    printed = {row.name: row.operations.value for row in PAPER_TABLE if row.operations}
    total = sum(printed.values())
    ours = {entry.row: (entry.count or 0) / M for entry in entries if entry.column == "ops"}
    differing = [entry.row for entry in entries if entry.column == "ops" and not entry.agrees]
    shares = {row: ours[row] - printed[row] for row in differing}
    rest = macs / M - total - sum(shares.values())
    parts = "".join(f"{row} {share:+.1f}M, " for row, share in shares.items())
    return (
        f"Sum of ops: ours {macs:,} multiply-adds. The paper's column adds up to {total:,.0f}M; the "
        f"{macs / M - total:.1f}M between them are {parts}rounding {rest:+.1f}M."
    )


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)
