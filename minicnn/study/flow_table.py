"""The rows of a gradient flow as text, as a Markdown table and as CSV.

                                norm of the gradient      share, %              cosine  gradient
    layer          params    whole     main  ... aux2   main aux1 aux2    m-a1  m-a2 a1-a2   /weight
    inception3a    10,300  7.81e-1  4.39e-1  ...
      conv1x1         784  2.32e-1  1.17e-1  ...

A line above indented ones is a whole module: its layers taken together. A dot is a zero, or a cosine that
there is not, because one of the two parts is zero.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from minicnn.study.attribution import HEADS
from minicnn.study.flow_row import PAIRS, FlowRow, together

NAME_WIDTH = 26  # longer paths lose their middle
SHARE = "share: the norm of a head's part, over the sum of the norms of all parts"
SHORT = {"main": "m", "aux1": "a1", "aux2": "a2"}


def as_text(rows: Sequence[FlowRow], heads: Sequence[str]) -> str:
    """Return a table for a terminal, of at most 113 columns."""
    lines = list(_lines(rows))
    width = min(NAME_WIDTH, max(len("layer"), *(len(label) for label, _ in lines)))
    pairs = [pair for pair in PAIRS if set(pair) <= set(heads)]

    def joined(
        label: str, params: str, norms: list[str], shares: list[str], cosines: list[str], ratio: str
    ) -> str:
        parts = [
            f"{_cut(label, width):<{width}}",
            f"{params:>9}",
            "".join(f"{norm:>9}" for norm in norms),
            "".join(f"{share:>5}" for share in shares),
            "".join(f"{cosine:>6}" for cosine in cosines),
            f"{ratio:>8}",
        ]
        return "  ".join(part for part in parts if part).rstrip()

    several = len(heads) > 1
    columns = ("whole", *heads) if several else ("whole",)
    groups = joined(
        "", "",
        [f"{'norm of the gradient':>{9 * len(columns)}}" if several else "norm of"],
        [f"{'share, %':>{5 * len(heads)}}"] if several else [],
        [f"{'cosine':>{6 * len(pairs)}}"] if several else [],
        "gradient",
    )  # fmt: skip
    head = joined(
        "layer", "params",
        list(columns) if several else ["gradient"],
        list(heads) if several else [],
        [f"{SHORT[a]}-{SHORT[b]}" for a, b in pairs],
        "/weight",
    )  # fmt: skip
    body = [
        joined(
            label,
            f"{row.size:,}",
            [_scientific(row.norm), *(_scientific(row.norms[h]) for h in columns[1:])],
            [f"{100 * row.shares[h]:.0f}" if row.norms[h] else "." for h in heads] if several else [],
            [_signed(row.cosines[f"{a}-{b}"]) for a, b in pairs],
            _scientific(row.ratio),
        )
        for label, row in lines
    ]
    rule = "-" * max(map(len, [groups, head, *body]))
    return "\n".join([groups, head, rule, *body, *([SHARE] if several else [])])


def as_markdown(rows: Sequence[FlowRow]) -> str:
    """Return a table of all figures for a page."""
    columns, records = _records(rows)
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in record) + " |" for record in records]
    return "\n".join(lines)


def as_csv(rows: Sequence[FlowRow]) -> str:
    """Return a table of all figures for other programs."""
    columns, records = _records(rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(records)
    return file.getvalue().rstrip("\n")


def _records(rows: Sequence[FlowRow]) -> tuple[list[str], list[list[Any]]]:
    pairs = [f"{a}-{b}" for a, b in PAIRS]
    columns = [
        "layer", "parameters", "norm", *(f"norm {head}" for head in HEADS),
        *(f"share {head}" for head in HEADS), *(f"cosine {pair}" for pair in pairs), "gradient/weight",
    ]  # fmt: skip
    records = []
    for row in rows:
        found = row.to_json()
        records.append(
            [
                found["layer"], found["parameters"], found["norm"],
                *found["norms"].values(), *found["shares"].values(), *found["cosines"].values(),
                found["gradient_to_weight"],
            ]
        )  # fmt: skip
    return columns, records


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _lines(rows: Sequence[FlowRow]) -> Iterator[tuple[str, FlowRow]]:
    """Yield (label, row); the rows of a module are indented below a line for the module."""
    for block, group in itertools.groupby(rows, key=lambda row: row.layer.partition(".")[0]):
        layers = list(group)
        if len(layers) == 1:
            yield layers[0].layer, layers[0]
        else:
            yield block, together(block, layers)
            for row in layers:
                yield "  " + (row.layer.removeprefix(f"{block}.")), row


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    kept = width - 1
    return text[: kept // 2] + "…" + text[len(text) - (kept - kept // 2) :]


def _scientific(number: float | None) -> str:
    """Write 0.00123 as 1.23e-3: a terminal has no room for zeros.

    Examples
    --------
    >>> _scientific(0.00123), _scientific(0.0), _scientific(None), _scientific(float("inf"))
    ('1.23e-3', '.', '.', 'inf')
    """
    if not number:
        return "."
    digits, e, exponent = f"{number:.2e}".partition("e")
    return f"{digits}e{int(exponent)}" if e else digits


def _signed(number: float | None) -> str:
    return "." if number is None else f"{number:+.2f}"
