"""One table, written in four ways: for a terminal, in Markdown, as CSV and, by those who call, as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

KIB = 1 << 10


class Column(NamedTuple):
    """A column of a table: its heading, and whether its cells begin or end at one line."""

    heading: str
    left: bool = False


Cells = Sequence[str]


def as_text(columns: Sequence[Column], rows: Sequence[Cells]) -> list[str]:
    """Return the lines of a table for a terminal, without any rules.

    Examples
    --------
    >>> for line in as_text([Column("layer", left=True), Column("weights")], [["conv1", "9,408"]]):
    ...     print(line)
    layer  weights
    conv1    9,408
    """
    table = [[column.heading for column in columns], *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(columns))]
    return [
        "".join(
            f"{cell:<{width}}  " if column.left else f"{cell:>{width}} "
            for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in table
    ]


def as_markdown(columns: Sequence[Column], rows: Sequence[Cells]) -> str:
    r"""Return a Markdown table.

    Examples
    --------
    >>> print(as_markdown([Column("layer", left=True), Column("weights")], [["a|b", "9,408"]]))
    | layer | weights |
    |---|---:|
    | a\|b | 9,408 |
    """
    lines = [[column.heading for column in columns], *rows]
    head, *body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines]
    rule = "|" + "|".join("---" if column.left else "---:" for column in columns) + "|"
    return "\n".join([head, rule, *body])


def as_csv(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return comma-separated values, with plain numbers and a line of headings.

    Examples
    --------
    >>> print(as_csv(["layer", "sees"], [["conv1", 7], ["pool, 2", None]]))
    layer,sees
    conv1,7
    "pool, 2",
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([headings, *rows])
    return text.getvalue().removesuffix("\n")


def whole(number: int) -> str:
    """Write a count with separators; nothing for zero.

    Examples
    --------
    >>> whole(118013952), whole(0)
    ('118,013,952', '')
    """
    return f"{number:,}" if number else ""


def kibibytes(size: int) -> str:
    """Write a number of bytes in KiB, rounded up; nothing for zero.

    Examples
    --------
    >>> kibibytes(3 << 20), kibibytes(40), kibibytes(0)
    ('3,072', '1', '')
    """
    return whole(-(-size // KIB))


def mebibytes(size: int) -> str:
    """Write a number of bytes in MiB.

    Examples
    --------
    >>> mebibytes(3 << 20), mebibytes(500)
    ('3.0', '0.0')
    """
    return f"{size / KIB**2:,.1f}"


def pixels(size: int | tuple[int, int] | None) -> str:
    """Write a number of pixels, vertical and horizontal if these differ.

    Examples
    --------
    >>> pixels(27), pixels((3, 5)), pixels(None)
    ('27', '3x5', '')
    """
    if isinstance(size, tuple):
        return "x".join(map(str, size))
    return "" if size is None else str(size)


def shape(sizes: Sequence[int]) -> str:
    """Write a shape without the batch.

    Examples
    --------
    >>> shape((1, 28, 28, 256))
    '28x28x256'
    """
    return "x".join(map(str, sizes[1:]))
