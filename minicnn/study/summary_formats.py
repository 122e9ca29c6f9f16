"""The rows of a summary as Markdown, CSV and JSON, and its memory in words.

CSV and JSON have every column, and plain numbers; Markdown has what the tables for a terminal have, and the
memory as well.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from minicnn.study.layer_rows import LayerRow
from minicnn.study.stage_table import MEMORY_COLUMNS, memory_of, seen_by, stage_columns, table_cells
from minicnn.study.stages import WIDTHS, StageRow
from minicnn.study.summary_table import sees
from minicnn.study.text_tables import Column, as_csv, as_markdown, kibibytes, mebibytes, shape, whole


def stages_as_markdown(stages: Sequence[StageRow]) -> str:
    """Write the stages as a Markdown table."""
    return as_markdown(stage_columns(stages, memory=True), table_cells(stages, memory=True))


def layers_as_markdown(rows: Sequence[LayerRow]) -> str:
    """Write the layers as a Markdown table."""
    headings = ("parameters", "multiply-adds", "sees px", *MEMORY_COLUMNS)
    columns = [Column(name, left=True) for name in ("layer", "kind", "output")]
    cells = [
        [
            row.name,
            f"{row.kind} {row.window}".rstrip() + (f", {row.activation}" if row.activation else ""),
            shape(row.output_shape),
            whole(row.params),
            whole(row.macs),
            sees(row),
            *map(kibibytes, (row.activation_bytes, row.naive_column_bytes, row.tile_column_bytes)),
        ]
        for row in rows
    ]
    return as_markdown([*columns, *map(Column, headings)], cells)


def stages_as_csv(stages: Sequence[StageRow]) -> str:
    """Write the stages as comma-separated values."""
    headings = [
        "stage", "kind", "window", "output", "depth", *WIDTHS.values(), "params", "biases", "macs",
        "receptive_fields", "activation_bytes", "naive_column_bytes", "tile_column_bytes", "training_only",
    ]  # fmt: skip
    cells = [
        [
            stage.name, stage.kind, stage.window, shape(stage.output_shape), stage.depth,
            *(stage.widths.get(width) for width in WIDTHS.values()), stage.params, stage.biases, stage.macs,
            seen_by(stage), *memory_of(stage), stage.training_only,
        ]
        for stage in stages
    ]  # fmt: skip
    return as_csv(headings, cells)


def layers_as_csv(rows: Sequence[LayerRow]) -> str:
    """Write the layers as comma-separated values."""
    headings = [
        "layer", "kind", "window", "activation", "output", "params", "biases", "macs", "receptive_field",
        "activation_bytes", "naive_column_bytes", "tile_column_bytes", "training_only",
    ]  # fmt: skip
    cells = [
        [
            row.name, row.kind, row.window, row.activation, shape(row.output_shape), row.params, row.biases,
            row.macs, sees(row), row.activation_bytes, row.naive_column_bytes, row.tile_column_bytes,
            row.training_only,
        ]
        for row in rows
    ]  # fmt: skip
    return as_csv(headings, cells)


def summary_as_json(totals: Mapping[str, Any], stages: Sequence[StageRow], rows: Sequence[LayerRow]) -> str:
    """Write everything as one JSON object."""
    everything = {
        **totals,
        "stages": [dataclasses.asdict(stage) for stage in stages],
        "layers": [dataclasses.asdict(row) for row in rows],
    }
    return json.dumps(everything, indent=2)


def memory_note(rows: Sequence[LayerRow], batch: int) -> list[str]:
    """Say in two lines what the activations take, and what im2col would need at once and needs in tiles."""
    images = "image" if batch == 1 else f"batch of {batch}"
    activations = sum(row.activation_bytes for row in rows if not row.training_only)
    lines = [f"memory for one {images}: all outputs at inference {mebibytes(activations)} MiB"]
    naive = max(rows, key=lambda row: row.naive_column_bytes, default=None)
    if naive is not None and naive.naive_column_bytes:
        tile = max(rows, key=lambda row: row.tile_column_bytes)
        lines.append(
            f"columns of im2col: up to {mebibytes(naive.naive_column_bytes)} MiB at once ({naive.name}), "
            f"in tiles {mebibytes(tile.tile_column_bytes)} MiB for each thread"
        )
    return lines
