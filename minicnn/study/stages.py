"""The stages of a network, as a paper's table has them: one row for each part of the model.

A stage is what one direct child of the model ran: a layer, or a module of several. What the model calls
without a child is a stage by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from minicnn.nn import Module
from minicnn.study.layer_rows import LayerRow

# The columns of the paper's table 1, by the name of the layer whose filters they count.
WIDTHS = {
    "conv1x1": "1x1",
    "conv3x3_reduce": "3x3 reduce",
    "conv3x3": "3x3",
    "conv5x5_reduce": "5x5 reduce",
    "conv5x5": "5x5",
    "pool_proj": "pool proj",
}

Size = int | tuple[int, int]


@dataclass(frozen=True)
class StageRow:
    """One stage of a network.

    Attributes
    ----------
    name : str
        Of the model's child; the kind of the op if it was called without one.
    kind : str
        Of the op, or the class of the child if it runs several.
    window : str
        Kernel and stride: "3x3/2". Empty for several ops.
    output_shape : tuple of int
        With the batch.
    depth : int
        Layers with weights (convolutions and linear ones) on the longest path through the stage.
    widths : dict of str to int
        Filters of an inception module, by the columns of the paper's table 1; empty for everything else.
    params, biases, macs : int
        Sums over its layers, as in `LayerRow`.
    receptive_fields : tuple
        What each branch sees that meets in the last op, or what its output sees; empty if it cannot be told.
    sees_everything : bool
        Whether that is the whole image by construction.
    activation_bytes : int
        Sum over its layers.
    naive_column_bytes, tile_column_bytes : int
        Of the convolution that needs most.
    training_only : bool
        Whether it is dropped at inference.
    places : tuple of int
        Which rows of the summary it consists of.
    """

    name: str
    kind: str
    window: str
    output_shape: tuple[int, ...]
    depth: int
    widths: dict[str, int]
    params: int
    biases: int
    macs: int
    receptive_fields: tuple[Size, ...]
    sees_everything: bool
    activation_bytes: int
    naive_column_bytes: int
    tile_column_bytes: int
    training_only: bool
    places: tuple[int, ...]


def stages_of(rows: Sequence[LayerRow], classes: Mapping[str, str]) -> tuple[StageRow, ...]:
    """Gather the rows of a summary into stages.

    Parameters
    ----------
    rows : sequence of LayerRow
        In the order of execution.
    classes : mapping of str to str
        Class of each child of the model, by its name.
    """
    stages = []
    for (_, child), group in itertools.groupby(enumerate(rows), key=_stage):
        places = [place for place, _ in group]
        if child:
            stages.append(_stage_row(child, classes.get(child, ""), rows, places))
        else:
            stages += [_stage_row(rows[place].name, "", rows, [place]) for place in places]
    return tuple(stages)


def _stage(numbered: tuple[int, LayerRow]) -> tuple[bool, str]:
    row = numbered[1]
    return row.training_only, row.module_path.partition(".")[0]


def _stage_row(name: str, class_name: str, rows: Sequence[LayerRow], places: Sequence[int]) -> StageRow:
    own = [rows[place] for place in places]
    last = own[-1]
    branches = [rows[source] for source in last.sources if source in places]
    seen = branches if last.kind == "concat" and len(branches) > 1 else [last]
    fields = tuple(row.receptive_field for row in seen if row.receptive_field is not None)
    return StageRow(
        name=name,
        kind=last.kind if len(own) == 1 else class_name,
        window=last.window if len(own) == 1 else "",
        output_shape=last.output_shape,
        depth=depth(rows, places),
        widths=_widths(name, own),
        params=sum(row.params for row in own),
        biases=sum(row.biases for row in own),
        macs=sum(row.macs for row in own),
        receptive_fields=fields if len(fields) == len(seen) else (),
        sees_everything=last.sees_everything,
        activation_bytes=sum(row.activation_bytes for row in own),
        naive_column_bytes=max(row.naive_column_bytes for row in own),
        tile_column_bytes=max(row.tile_column_bytes for row in own),
        training_only=last.training_only,
        places=tuple(places),
    )


def _widths(stage: str, rows: Sequence[LayerRow]) -> dict[str, int]:
    """Return the filters of a module whose branches are named as those of `nn.Inception`."""
    filters = {
        WIDTHS[layer]: row.output_shape[-1]
        for row in rows
        if row.kind == "conv2d" and (layer := row.module_path.removeprefix(f"{stage}.")) in WIDTHS
    }
    return filters if len(filters) > 1 and rows[-1].kind == "concat" else {}


def depth(rows: Sequence[LayerRow], places: Iterable[int]) -> int:
    """Count the convolutions and linear layers on the longest path through some rows.

    Parameters
    ----------
    rows : sequence of LayerRow
        Of a summary.
    places : iterable of int
        Which of them, in ascending order.

    Examples
    --------
    >>> from minicnn import nn, study
    >>> rows = study.summarize(nn.Inception(192, 64, 96, 128, 16, 32, 32), (1, 28, 28, 192)).rows
    >>> depth(rows, range(len(rows)))
    2
    """
    deepest: dict[int, int] = {}
    for place in places:
        row = rows[place]
        before = max((deepest[source] for source in row.sources if source in deepest), default=0)
        deepest[place] = before + (row.params > 0 and row.macs > 0)
    return max(deepest.values(), default=0)


def classes_of_children(model: Module) -> dict[str, str]:
    """Return the class of each child of a model, by its name."""
    return {name: type(child).__name__ for name, child in model.children()}
