"""The stages of a network as a table in the paper's columns.

    stage        kind            output     depth 1x1 3x3r 3x3 5x5r 5x5 pool ...
    conv1        conv2d 7x7/2    112x112x64     1
    inception3a  inception       28x28x256      2  64   96 128   16  32   32 ...

The widths are there if any stage has them; a network without leaves room for the memory, which otherwise is
in the files only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minicnn.study.stages import WIDTHS, StageRow
from minicnn.study.text_tables import Column, as_text, kibibytes, pixels, shape, whole

_SHORT_KINDS = {
    "max_pool2d": "max pool",
    "avg_pool2d": "average pool",
    "local_response_norm": "LRN",
    "global_avg_pool2d": "global average",
    "AuxiliaryHead": "auxiliary head",
    "Inception": "inception",
}
_SHORT_WIDTHS = {"3x3 reduce": "3x3r", "5x5 reduce": "5x5r", "pool proj": "pool"}
MEMORY_COLUMNS = ("out KiB", "cols KiB", "tile KiB")

Total = tuple[str, int, int, int]  # what, depth, parameters, multiply-adds


def stage_columns(stages: Sequence[StageRow], memory: bool) -> list[Column]:
    """Return the headings of the table."""
    widths = [_SHORT_WIDTHS.get(name, name) for name in WIDTHS.values()] if _has_widths(stages) else []
    numbers = [
        "depth",
        *widths,
        "parameters",
        "multiply-adds",
        "sees px",
        *(MEMORY_COLUMNS if memory else ()),
    ]
    return [
        *(Column(heading, left=True) for heading in ("stage", "kind", "output")),
        *map(Column, numbers),
    ]


def stage_cells(stage: StageRow, with_widths: bool, memory: bool) -> list[str]:
    """Return one line of the table."""
    return [
        stage.name,
        f"{_SHORT_KINDS.get(stage.kind, stage.kind)} {stage.window}".strip(),
        shape(stage.output_shape),
        whole(stage.depth),
        *([whole(stage.widths.get(name, 0)) for name in WIDTHS.values()] if with_widths else []),
        whole(stage.params),
        whole(stage.macs),
        seen_by(stage),
        *(map(kibibytes, memory_of(stage)) if memory else ()),
    ]


def table_cells(stages: Sequence[StageRow], memory: bool) -> list[list[str]]:
    """Return all lines of the table but headings and totals."""
    with_widths = _has_widths(stages)
    return [stage_cells(stage, with_widths, memory) for stage in stages]


def stages_as_table(stages: Sequence[StageRow], totals: Sequence[Total]) -> list[str]:
    """Return the lines of the table for a terminal."""
    memory = not _has_widths(stages)
    columns = stage_columns(stages, memory)
    cells = table_cells(stages, memory)
    places = {column.heading: place for place, column in enumerate(columns)}
    feet = []
    for what, depth, params, macs in totals:
        foot = [""] * len(columns)
        foot[places["depth"]], foot[places["parameters"]] = whole(depth), whole(params)
        foot[places["multiply-adds"]] = whole(macs)
        feet.append((what, foot))
    lines = as_text(columns, [*cells, *(foot for _, foot in feet)])
    rule = "-" * max(map(len, lines))
    body = list(_with_headline(stages, lines[1 : 1 + len(cells)]))
    labelled = [
        what + line[len(what) :]
        for (what, _), line in zip(feet, lines[len(lines) - len(feet) :], strict=True)
    ]
    return [lines[0], rule, *body, rule, *labelled]


def _with_headline(stages: Sequence[StageRow], lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines, and one before the first stage that only training needs."""
    announced = False
    for stage, line in zip(stages, lines, strict=True):
        if stage.training_only and not announced:
            announced = True
            yield "in training only:"
        yield line


def _has_widths(stages: Sequence[StageRow]) -> bool:
    return any(stage.widths for stage in stages)


def memory_of(stage: StageRow) -> tuple[int, int, int]:
    """Return the bytes of the activations, of naive columns and of a tile's."""
    return stage.activation_bytes, stage.naive_column_bytes, stage.tile_column_bytes


def seen_by(stage: StageRow) -> str:
    """Write what a stage's output sees, branch by branch: "27 43 59 43"."""
    if stage.sees_everything:
        return "all"
    return " ".join(map(pixels, stage.receptive_fields))
