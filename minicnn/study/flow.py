"""`gradient_flow`: how large the gradient of each layer is, and which head it comes from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from minicnn.backend import Array
from minicnn.errors import UsageError
from minicnn.nn import Module
from minicnn.study.attribution import HEADS, attribute_gradients
from minicnn.study.flow_picture import draw_flow
from minicnn.study.flow_row import FlowRow, measure, together
from minicnn.study.flow_table import as_csv, as_markdown, as_text
from minicnn.tensor import Tensor


@dataclass(frozen=True)
class GradientFlow:
    """The gradient of each layer, as `gradient_flow` found it. `str()` is the table.

    Attributes
    ----------
    model : str
        Name of the network's class.
    images : int
        How many there were in the batch.
    aux_weight : float
        Weight of each auxiliary head's loss.
    rows : tuple of FlowRow
        The layers with parameters, in network order.
    """

    model: str
    images: int
    aux_weight: float
    rows: tuple[FlowRow, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads from which any gradient comes."""
        return tuple(head for head in HEADS if any(row.norms[head] != 0 for row in self.rows))

    @property
    def blocks(self) -> tuple[FlowRow, ...]:
        """The rows added up by the network's direct children: an inception module is one block."""
        groups = itertools.groupby(self.rows, key=lambda row: row.layer.partition(".")[0])
        return tuple(together(block, list(rows)) for block, rows in groups)

    @property
    def trunk(self) -> tuple[FlowRow, ...]:
        """The blocks that the main head's gradient reaches: all but the auxiliary heads."""
        return tuple(block for block in self.blocks if block.norms["main"] != 0)

    def only(self, pattern: str) -> GradientFlow:
        """Keep the layers whose path fits a pattern: "inception4a", "*.conv3x3", "aux?.fc1".

        Raises
        ------
        UsageError
            If there is none.
        """
        rows = tuple(row for row in self.rows if _fits(row.layer, pattern))
        if not rows:
            known = ", ".join(block.layer for block in self.blocks)
            raise UsageError(
                f"layers: expected a pattern that fits a layer, got '{pattern}'; there are {known}"
            )
        return GradientFlow(self.model, self.images, self.aux_weight, rows)

    def __str__(self) -> str:
        images = f"{self.images} image{'s' if self.images != 1 else ''}"
        heads = self.heads
        if len(heads) > 1:
            title = f"{self.model}, {images}, weight of the auxiliary heads {self.aux_weight:g}"
        else:
            title = f"{self.model}, {images}; all of the gradient comes from the main head"
        return f"{title}\n{as_text(self.rows, heads)}"

    def as_markdown(self) -> str:
        """Return all figures as a Markdown table."""
        return as_markdown(self.rows)

    def as_csv(self) -> str:
        """Return all figures as comma-separated values, with a line of headings."""
        return as_csv(self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return everything as what `json.dumps` takes."""
        return {
            "model": self.model,
            "images": self.images,
            "aux_weight": self.aux_weight,
            "layers": [row.to_json() for row in self.rows],
        }

    def draw(self, path: str | Path, title: str | None = None) -> None:
        """Draw magnitude and shares over the depth of the network into a PNG file."""
        heads = self.heads
        draw_flow(self.trunk, heads, Path(path), title or f"{self.model}: where the gradient comes from")


def gradient_flow(model: Module, x: Tensor | Array, labels: Array, aux_weight: float = 0.3) -> GradientFlow:
    """Measure the gradient of each layer, split by the head it comes from.

    Parameters
    ----------
    model, x, labels, aux_weight
        As for `attribute_gradients`.

    Returns
    -------
    GradientFlow

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import models
    >>> model = models.googlenet_cifar(width=0.05, rng=np.random.default_rng(0))
    >>> x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    >>> flow = gradient_flow(model, x, np.array([3, 7]))
    >>> [block.layer for block in flow.trunk][:4]
    ['conv1', 'conv2_reduce', 'conv2', 'inception3a']
    >>> flow.rows[-1].layer, flow.rows[-1].shares
    ('fc', {'main': 1.0, 'aux1': 0.0, 'aux2': 0.0})
    """
    parts = attribute_gradients(model, x, labels, aux_weight)
    parameters = dict(model.named_parameters())
    layers: dict[str, list[FlowRow]] = {}
    for name, of_heads in parts.items():
        layer = name.rpartition(".")[0] or type(model).__name__
        layers.setdefault(layer, []).append(measure(layer, parameters[name].data, of_heads))
    rows = tuple(together(layer, rows) for layer, rows in layers.items())
    return GradientFlow(type(model).__name__, len(labels), aux_weight, rows)


def _fits(layer: str, pattern: str) -> bool:
    return fnmatchcase(layer, pattern) or fnmatchcase(layer, f"{pattern}.*")
