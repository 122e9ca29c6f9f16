"""The rows of a summary as a table, in which an inception module reads like its diagram.

inception3a                                                      163,696    128,049,152
  ├ conv1x1            conv2d 1x1/1, relu         28x28x64        12,352      9,633,792     27
  ├ conv3x3_reduce     conv2d 1x1/1, relu         28x28x96        18,528     14,450,688     27
  │ └ conv3x3          conv2d 3x3/1, relu         28x28x128      110,720     86,704,128     43
  ...
  └ concat             concat                     28x28x256                                 59
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from minicnn.study.layer_rows import LayerRow

# The layer's column is cut here, so that a table fits on a screen.
LABEL_WIDTH = 30

Total = tuple[str, int, int]  # what, parameters, multiply-adds


def rows_as_table(rows: Sequence[LayerRow], totals: Iterable[Total]) -> list[str]:
    """Return the lines of the table, at most 110 characters wide."""
    entries = list(_entries(rows))
    width = min(
        LABEL_WIDTH, max(len(label) for label, *_ in [*entries, *([t[0]] for t in totals), ("layer",)])
    )
    head = _line(width, "layer", "kind", "output", "parameters", "multiply-adds", "sees px")
    rule = "-" * len(head)
    lines = [head, rule, *(_line(width, *entry) for entry in entries), rule]
    return lines + [_line(width, label, "", "", _number(p), _number(m), "") for label, p, m in totals]


def _line(width: int, label: str, kind: str, output: str, params: str, macs: str, sees: str) -> str:
    if len(label) > width:
        label = f"{label[: width - 1]}…"
    return f"{label:<{width}}  {kind:<24} {output:>13} {params:>12} {macs:>15} {sees:>8}".rstrip()


def _entries(rows: Sequence[LayerRow]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each line."""
    numbered = list(enumerate(rows))
    yield from _module_entries([(i, row) for i, row in numbered if not row.training_only], "", "")
    training = [(i, row) for i, row in numbered if row.training_only]
    if training:
        yield "in training only:", "", "", "", "", ""
        yield from _module_entries(training, "", "")


def _module_entries(
    rows: Sequence[tuple[int, LayerRow]], module: str, indent: str
) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the rows that `module` called, itself or through its children."""
    branches = iter(_branch_signs(rows, module))
    for path, group in itertools.groupby(
        rows, key=lambda numbered: _child_of(module, numbered[1].module_path)
    ):
        called = list(group)
        if path == module or len(called) == 1:
            for _, row in called:
                yield _layer_entry(row, module, f"{indent}{next(branches)}")
            continue
        name = path.removeprefix(module).removeprefix(".")
        params, macs = sum(row.params for _, row in called), sum(row.macs for _, row in called)
        yield f"{indent}{name}", "", "", _number(params), _number(macs), ""
        yield from _module_entries(called, path, f"{indent}  ")


def _child_of(module: str, path: str) -> str:
    """Return the path of the child of `module` that `path` lies in; `module` itself if it is that one."""
    if path == module:
        return module
    child = path.removeprefix(f"{module}." if module else "").partition(".")[0]
    return f"{module}.{child}" if module else child


def _branch_signs(rows: Sequence[tuple[int, LayerRow]], module: str) -> list[str]:
    """Return what to draw before each row: where branches begin, go on and meet, if they do."""
    own = {number for number, _ in rows}
    within = [len(own.intersection(row.sources)) for _, row in rows]
    children = [_child_of(module, row.module_path) for _, row in rows]
    if module == "" or max(within) < 2 or any(children.count(c) > 1 for c in children if c != module):
        return [""] * len(rows)
    meeting = within.index(max(within))
    signs = {0: "├ ", 1: "│ └ "}
    return [signs.get(n, "└ ") if i <= meeting else "  " for i, n in enumerate(within)]


def _layer_entry(row: LayerRow, module: str, indent: str) -> tuple[str, ...]:
    below = row.module_path.removeprefix(module).removeprefix(".")
    details = row.detail.replace("/1", "")  # a stride of one goes without saying
    return (
        f"{indent}{below or row.kind}",
        f"{row.kind} {details}".rstrip(),
        "x".join(map(str, row.output_shape[1:])),
        _number(row.params),
        _number(row.macs),
        _sees(row),
    )


def _number(n: int) -> str:
    return f"{n:,}" if n else ""


def _sees(row: LayerRow) -> str:
    if row.sees_everything:
        return "all"
    if row.receptive_field is None:
        return ""
    if isinstance(row.receptive_field, tuple):
        return "x".join(map(str, row.receptive_field))
    return str(row.receptive_field)
