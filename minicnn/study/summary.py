"""`summarize`: a network's layers with shapes, parameters, multiply-adds and receptive fields."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minicnn.errors import ShapeError
from minicnn.nn import Module
from minicnn.shapes import integer
from minicnn.study.layer_rows import LayerRow, Layers, watch
from minicnn.study.stage_table import stages_as_table
from minicnn.study.stages import StageRow, classes_of_children, depth, stages_of
from minicnn.study.summary_formats import (
    layers_as_csv,
    layers_as_markdown,
    memory_note,
    stages_as_csv,
    stages_as_markdown,
    summary_as_json,
)
from minicnn.study.summary_table import rows_as_table
from minicnn.tensor import Tensor


@dataclass(frozen=True)
class Summary:
    """The layers of a network, as `summarize` found them. `str()` is the table.

    Attributes
    ----------
    model : str
        Name of the network's class.
    input_shape : tuple of int
        With the batch.
    rows : tuple of LayerRow
        In the order of execution; those that only training needs come last, and are marked.
    stages : tuple of StageRow
        The same, gathered by the model's direct children.
    total_params : int
        Number of weights and biases of the whole network, auxiliary heads included; shared ones count once.
    inference_params : int
        How many of them an inference pass uses.
    total_macs : int
        Multiplications of convolution and linear products at inference, for one image.
    training_macs : int
        What the rows that only training needs add to that.
    depth : int
        Convolutions and linear layers on the longest path from the input to the output.
    note : str
        What could not be shown, and why; mostly empty.
    """

    model: str
    input_shape: tuple[int, ...]
    rows: tuple[LayerRow, ...]
    stages: tuple[StageRow, ...]
    total_params: int
    inference_params: int
    total_macs: int
    training_macs: int
    depth: int
    note: str = ""

    def __str__(self) -> str:
        return self._with_title(rows_as_table(self.rows, self._totals()))

    def table(self, details: bool = False) -> str:
        """Write the table of stages, or all layers with their memory.

        Parameters
        ----------
        details : bool, default=False
            False: one line for each stage, in the columns of the paper's table 1, and the memory in two
            lines below. True: one line for each op, with its memory.
        """
        memory = memory_note(self.rows, self.input_shape[0])
        if details:
            return self._with_title([*rows_as_table(self.rows, self._totals(), memory=True), *memory])
        totals = self._totals()
        depths = [self.depth, *([0] * (len(totals) - 1))]
        with_depth = [
            (what, layers, params, macs) for layers, (what, params, macs) in zip(depths, totals, strict=True)
        ]
        return self._with_title([*stages_as_table(self.stages, with_depth), *memory])

    def to_markdown(self, details: bool = False) -> str:
        """Write the stages, or with `details` all layers, as a Markdown table."""
        return layers_as_markdown(self.rows) if details else stages_as_markdown(self.stages)

    def to_csv(self, details: bool = False) -> str:
        """Write the stages, or with `details` all layers, as comma-separated values."""
        return layers_as_csv(self.rows) if details else stages_as_csv(self.stages)

    def to_json(self) -> str:
        """Write everything: the totals, the stages and the layers."""
        totals = {
            "model": self.model,
            "input_shape": self.input_shape,
            "total_params": self.total_params,
            "inference_params": self.inference_params,
            "total_macs": self.total_macs,
            "training_macs": self.training_macs,
            "depth": self.depth,
            "note": self.note,
        }
        return summary_as_json(totals, self.stages, self.rows)

    def _totals(self) -> list[tuple[str, int, int]]:
        totals = [("total at inference", self.inference_params, self.total_macs)]
        if self.total_params > self.inference_params:
            macs = self.total_macs + self.training_macs
            what = "total in training" if self.training_macs else "with unused parameters"
            totals.append((what, self.total_params, macs))
        return totals

    def _with_title(self, lines: Sequence[str]) -> str:
        size = "x".join(map(str, self.input_shape[1:]))
        title = f"{self.model}, input {size}; shapes and multiply-adds for one image"
        return "\n".join([title, *lines, *([self.note] if self.note else [])])


def summarize(model: Module, input_shape: Sequence[int]) -> Summary:
    """List the layers of a network with shapes, parameters, multiply-adds and receptive fields.

    The network is run once on zeros, in evaluation mode, and the ops are watched. If its forward takes
    `heads` and it has parameters that this run did not use, it is run again with `heads=True`: what that
    adds is listed as needed by training only.

    Parameters
    ----------
    model : Module
        Takes one Tensor. It is left as it was.
    input_shape : sequence of int
        Shape of the input with the batch, e.g. (1, 224, 224, 3).

    Returns
    -------
    Summary

    Raises
    ------
    ShapeError
        If the shape does not fit: the error of the op that refused it, with the path of its module.

    Examples
    --------
    >>> from minicnn import nn
    >>> summary = summarize(nn.Inception(192, 64, 96, 128, 16, 32, 32), (1, 28, 28, 192))
    >>> summary.total_params, summary.total_macs
    (163696, 128049152)
    >>> [row.receptive_field for row in summary.rows if row.name == "conv5x5"]
    [5]
    """
    shape = tuple(integer("summarize", "input_shape", size, minimum=1) for size in input_shape)
    if len(shape) < 2:
        raise ShapeError(f"summarize: input_shape: expected the batch size and the input's, got {shape}")
    parameters = model.parameters()
    kind = parameters[0] if parameters else Tensor(np.zeros(1, np.float32))
    x = Tensor(np.zeros(shape, kind.dtype)).to(kind.device)

    inference = watch(model, x)
    heads: list[LayerRow] = []
    note = ""
    takes_heads = "heads" in inspect.signature(model.forward).parameters
    if takes_heads and inference.parameters < set(parameters):
        try:
            heads = _training_only(inference, watch(model, x, heads=True))
        except ShapeError as error:  # they may insist on the size of image the network is made for
            note = f"The auxiliary heads are not listed: {error}"
    rows = (*inference.rows, *heads)
    return Summary(
        model=type(model).__name__,
        input_shape=shape,
        rows=rows,
        stages=stages_of(rows, classes_of_children(model)),
        total_params=sum(p.size for p in parameters),
        inference_params=sum(p.size for p in parameters if p in inference.parameters),
        total_macs=sum(row.macs for row in inference.rows),
        training_macs=sum(row.macs for row in heads),
        depth=depth(rows, range(len(inference.rows))),
        note=note,
    )


def _training_only(inference: Layers, training: Layers) -> list[LayerRow]:
    """Return the rows that only the pass with heads has, to be listed after those of inference."""
    known = {(row.module_path, row.kind) for row in inference.rows}
    is_new = [(row.module_path, row.kind) not in known for row in training.rows]
    # Where each row of the pass with heads comes to stand when the new ones are moved to the end.
    old, new = iter(range(len(inference.rows))), iter(range(len(inference.rows), len(training.rows)))
    place = [next(new) if is_new_row else next(old) for is_new_row in is_new]
    return [
        replace(row, sources=tuple(place[source] for source in row.sources), training_only=True)
        for row, is_new_row in zip(training.rows, is_new, strict=True)
        if is_new_row
    ]
