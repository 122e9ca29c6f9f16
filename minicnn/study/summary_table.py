"""The rows of a summary as a table, in which an inception module reads like its diagram.

    inception3a                                           163,696     128,049,152
      ├ conv1x1         conv2d 1x1, relu     28x28x64      12,352       9,633,792       27
      ├ conv3x3_reduce  conv2d 1x1, relu     28x28x96      18,528      14,450,688       27
      │ └ conv3x3       conv2d 3x3, relu    28x28x128     110,720      86,704,128       43
      ...
      └ concat          concat              28x28x256                                   59

A line without a kind is a module: its numbers are the sums of those below it. On request there are three more
columns, for the memory: of the output, of the columns that a naive im2col would write, and of a tile's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from minicnn.study.layer_rows import LayerRow
from minicnn.study.stage_table import MEMORY_COLUMNS
from minicnn.study.text_tables import kibibytes, pixels, shape, whole

# The columns for the layer and its kind are cut here, so that the table fits on a screen of 110 columns.
TEXT_WIDTH = 28

Total = tuple[str, int, int]  # what, parameters, multiply-adds
Numbered = tuple[int, LayerRow]


class _Line(NamedTuple):
    label: str
    kind: str = ""
    output: str = ""
    params: str = ""
    macs: str = ""
    sees: str = ""
    memory: tuple[str, ...] = ()

    def padded(self, widths: tuple[int, int]) -> str:
        label, kind = (
            f"{text if len(text) <= width else text[: width - 1] + '…':<{width}}"
            for text, width in zip(self[:2], widths, strict=True)
        )
        numbers = f"{self.output:>13} {self.params:>12} {self.macs:>15} {self.sees:>8}"
        numbers += "".join(
            f" {text:>{len(heading)}}" for text, heading in zip(self.memory, MEMORY_COLUMNS, strict=False)
        )
        return f"{label}  {kind} {numbers}".rstrip()


def rows_as_table(rows: Sequence[LayerRow], totals: Sequence[Total], memory: bool = False) -> list[str]:
    """Return the lines of the table."""
    headings = MEMORY_COLUMNS if memory else ()
    head = _Line("layer", "kind", "output", "parameters", "multiply-adds", "sees px", headings)
    body = [line if memory else line._replace(memory=()) for line in _body(rows)]
    foot = [_Line(what, params=whole(params), macs=whole(macs)) for what, params, macs in totals]
    lines = [head, *body, *foot]
    widths = (
        min(TEXT_WIDTH, max(len(line.label) for line in lines)),
        min(TEXT_WIDTH, max(len(line.kind) for line in lines)),
    )
    rule = "-" * len(head.padded(widths))
    padded = [line.padded(widths) for line in lines]
    return [padded[0], rule, *padded[1 : 1 + len(body)], rule, *padded[1 + len(body) :]]


def _body(rows: Sequence[LayerRow]) -> Iterator[_Line]:
    numbered = list(enumerate(rows))
    yield from _module_lines([(i, row) for i, row in numbered if not row.training_only], "", "")
    training = [(i, row) for i, row in numbered if row.training_only]
    if training:
        yield _Line("in training only:")
        yield from _module_lines(training, "", "")


def _module_lines(rows: Sequence[Numbered], module: str, indent: str) -> Iterator[_Line]:
    """Yield the lines of the rows that `module` called, itself or through its children."""

    def child(numbered: Numbered) -> str:
        return _child_of(module, numbered[1].module_path)

    signs = _branch_signs(rows, module)
    for path, group in itertools.groupby(rows, key=child):
        called = list(group)
        if path == module or len(called) == 1:
            for number, row in called:
                yield _row_line(row, module, f"{indent}{signs.get(number, '')}")
        else:
            params, macs = sum(row.params for _, row in called), sum(row.macs for _, row in called)
            name = path.removeprefix(module).removeprefix(".")
            yield _Line(f"{indent}{name}", params=whole(params), macs=whole(macs))
            yield from _module_lines(called, path, f"{indent}  ")


def _child_of(module: str, path: str) -> str:
    """Return the path of the child of `module` that `path` lies in; `module` itself if it is that one."""
    if path == module:
        return module
    below = path.removeprefix(f"{module}." if module else "").partition(".")[0]
    return f"{module}.{below}" if module else below


def _branch_signs(rows: Sequence[Numbered], module: str) -> dict[int, str]:
    """Return what to draw before the rows of a module whose branches meet: where they begin and go on."""
    children = [_child_of(module, row.module_path) for _, row in rows]
    own = {number for number, _ in rows}
    inputs_within = {number: len(own.intersection(row.sources)) for number, row in rows}
    meeting = max(inputs_within, key=inputs_within.__getitem__, default=0)
    has_nested_modules = any(children.count(path) > 1 for path in children if path != module)
    if module == "" or has_nested_modules or inputs_within[meeting] < 2:
        return {}
    signs = {0: "├ ", 1: "│ └ "}
    return {n: signs.get(inputs, "└ ") if n <= meeting else "  " for n, inputs in inputs_within.items()}


def _row_line(row: LayerRow, module: str, indent: str) -> _Line:
    activation = f", {row.activation}" if row.activation else ""
    return _Line(
        label=f"{indent}{row.module_path.removeprefix(module).removeprefix('.') or row.kind}",
        kind=f"{row.kind} {row.window}".rstrip() + activation,
        output=shape(row.output_shape),
        params=whole(row.params),
        macs=whole(row.macs),
        sees=sees(row),
        memory=tuple(map(kibibytes, (row.activation_bytes, row.naive_column_bytes, row.tile_column_bytes))),
    )


def sees(row: LayerRow) -> str:
    """Write what an op's output sees; nothing if it cannot be told."""
    return "all" if row.sees_everything else pixels(row.receptive_field)
