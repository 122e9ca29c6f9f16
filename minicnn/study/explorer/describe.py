"""A recording as what JSON can hold: names, statistics, pictures, formulas.

tensors   shape, statistics and picture of the values and of the whole gradient
edges     the same of each contribution to a gradient, and what each head contributes
ops       formula, sizes, inputs and output
groups    the outermost modules with several ops: they open and close
bundles   what all the ops of a group together send back to a tensor
steps     the ops in the order of the walk
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.nn import Parameter
from minicnn.ops.concat import Concat
from minicnn.ops.conv import Conv2d
from minicnn.ops.dropout import Dropout
from minicnn.ops.relu import ReLU
from minicnn.study.explorer.formulas import filled_in, formula_of, sizes_of
from minicnn.study.explorer.patches import patches_of
from minicnn.study.explorer.record import Edge, Node, Op, Recording
from minicnn.study.explorer.statistics import number, products, statistics
from minicnn.study.explorer.thumbnails import Pictures, largest_finite, matrix, strip, strongest
from minicnn.tensor import Tensor

FEW = 16  # so many values are shown one by one


@dataclass(frozen=True)
class Titles:
    """What the page says about the whole.

    Attributes
    ----------
    title, subtitle : str
        Of the page.
    module : str
        The module it opens at; empty for the whole network.
    names : mapping of str to Tensor
        What leaves are called.
    """

    title: str = "A graph, step by step"
    subtitle: str = ""
    module: str = ""
    names: Mapping[str, Tensor] = field(default_factory=dict)


def describe(recording: Recording, titles: Titles) -> dict[str, Any]:
    """Return everything that the page shows.

    Examples
    --------
    >>> from minicnn import Tensor
    >>> from minicnn.study.explorer.record import record
    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> page = describe(record((x * x).sum()), Titles())
    >>> [op["op"] for op in page["ops"]], page["tensors"][0]["gradient"]["norm"]
    (['multiply', 'sum'], 10.0)
    """
    return _Description(recording, titles).everything()


class _Description:
    def __init__(self, recording: Recording, titles: Titles) -> None:
        self.recording = recording
        self.titles = titles
        self.pictures = Pictures()
        self.channels = [self._channels_of(node) for node in recording.tensors]
        self.groups = _groups_of(recording)
        self.group_of = {op: name for name, ops in self.groups.items() for op in ops}

    def everything(self) -> dict[str, Any]:
        recording = self.recording
        formulas = {op.function.name: formula_of(op.function) for op in recording.ops}
        places = {node.tensor: place for place, node in enumerate(recording.tensors)}
        return {
            "title": self.titles.title,
            "subtitle": self.titles.subtitle,
            "module": self.titles.module,
            "heads": [
                {
                    "name": head.name,
                    "value": number(head.term.item()),
                    "times": head.times,
                    "tensor": places[head.term],
                }
                for head in recording.heads
            ],
            "tensors": [self.tensor(place, node) for place, node in enumerate(recording.tensors)],
            "edges": [self.edge(edge) for edge in recording.edges],
            "ops": [self.op(place, op) for place, op in enumerate(recording.ops)],
            "groups": [{"name": name, "ops": ops} for name, ops in self.groups.items()],
            "bundles": self.bundles(),
            "steps": recording.steps,
            "formulas": {
                name: {"page": f.page, "forward": f.forward, "backward": f.backward}
                for name, f in formulas.items()
            },
            "pictures": self.pictures.uris,
        }

    # ---- tensors and edges ----

    def tensor(self, place: int, node: Node) -> dict[str, Any]:
        limit = self._common_limit(node)
        described: dict[str, Any] = {
            "name": next((name for name, t in self.titles.names.items() if t is node.tensor), None),
            "shape": node.data.shape,
            "dtype": str(node.data.dtype),
            "creator": node.creator,
            "parameter": _is_parameter(node),
            "uses": node.uses,
            "values": statistics(node.data),
            "picture": self._picture_of_values(place, node),
            "channels": self.channels[place],
            "gradient": None if node.gradient is None else statistics(node.gradient),
            "gradientPicture": self._picture_of_gradient(place, node.gradient, limit),
        }
        if node.data.size <= FEW:
            described["few"] = _few(node.data)
            if node.gradient is not None:
                described["fewGradient"] = _few(node.gradient)
        return described

    def edge(self, edge: Edge) -> dict[str, Any]:
        node = self.recording.tensors[edge.tensor]
        described: dict[str, Any] = {
            "tensor": edge.tensor,
            "op": edge.op,
            "place": edge.place,
            "gradient": None,
        }
        if edge.gradient is None or edge.sum_so_far is None:
            return described
        limit = self._common_limit(node)
        described |= {
            "gradient": statistics(edge.gradient),
            "picture": self._picture_of_gradient(edge.tensor, edge.gradient, limit),
            "arrived": edge.arrived,
            "of": edge.of,
            "heads": products(edge.of_heads) if edge.of_heads else None,
        }
        if edge.of > 1:
            described["sum"] = statistics(edge.sum_so_far)
            described["sumPicture"] = self._picture_of_gradient(edge.tensor, edge.sum_so_far, limit)
        if edge.gradient.size <= FEW:
            described["few"] = _few(edge.gradient)
        return described

    def bundles(self) -> list[dict[str, Any]]:
        """Sum the contributions of the ops of a group to one tensor, where there are several."""
        found = []
        for place, node in enumerate(self.recording.tensors):
            by_group: dict[str, list[Edge]] = {}
            for use in node.uses:
                edge = self.recording.edges[use]
                if edge.op in self.group_of and edge.gradient is not None:
                    by_group.setdefault(self.group_of[edge.op], []).append(edge)
            for group, edges in by_group.items():
                if len(edges) > 1:
                    parts = [
                        _sum([edge.of_heads[head] for edge in edges if edge.of_heads])
                        for head in range(len(self.recording.heads))
                    ]
                    total = _sum([edge.gradient for edge in edges])
                    assert total is not None
                    found.append(
                        {
                            "tensor": place,
                            "group": group,
                            "gradient": statistics(total),
                            "heads": products(parts),
                        }
                    )
        return found

    # ---- ops ----

    def op(self, place: int, op: Op) -> dict[str, Any]:
        function, recording = op.function, self.recording
        names = _names_of_inputs(op)
        inputs = [recording.tensors[recording.edges[number].tensor] for number in op.edges]
        output = recording.tensors[op.output]
        shapes = {"y": output.data.shape, "gy": output.data.shape}
        for name, node in zip(names, inputs, strict=True):
            shapes[name] = shapes[f"g{name}"] = node.data.shape
        formula = formula_of(function)
        described: dict[str, Any] = {
            "op": function.name,
            "path": function.module_path,
            "group": self.group_of.get(place),
            "edges": op.edges,
            "names": names,
            "output": op.output,
            "parameters": sum(node.data.size for node in inputs if _is_parameter(node)),
            "sizes": sizes_of(function),
            "filledForward": filled_in(formula.forward, function, shapes),
            "filledBackward": filled_in(formula.backward, function, shapes),
            "remark": _remark(op, output.data),
        }
        if isinstance(function, Concat):
            described["bounds"] = function.bounds
        if len(inputs) > 1 and output.gradient is not None:
            gx = recording.edges[op.edges[0]].gradient
            patches = patches_of(function, inputs[0].data, inputs[1].data, output.gradient, gx)
            if patches:
                described["patches"] = patches
        return described

    # ---- pictures ----

    def _channels_of(self, node: Node) -> list[int]:
        """Choose which channels of an image are shown: those with the strongest gradient."""
        if node.data.ndim != 4 or _is_parameter(node) or node.data.size == 0:
            return []
        gradient = node.gradient
        decides = node.data if gradient is None or not np.any(gradient) else gradient
        slices: list[tuple[int, int]] = []
        if node.creator is not None:
            function = self.recording.ops[node.creator].function
            if isinstance(function, Concat) and function.axis == 3:
                slices = function.bounds
        return strongest(decides[0], slices)

    def _common_limit(self, node: Node) -> float | None:
        """Return the strongest value of all contributions that are to be compared, if there are several."""
        gradients = [self.recording.edges[use].gradient for use in node.uses]
        given = [g for g in gradients if g is not None]
        if len(given) < 2 or node.gradient is None:
            return None
        return max(largest_finite(g) for g in [*given, node.gradient])

    def _picture_of_values(self, place: int, node: Node) -> int | None:
        data = node.data
        if data.ndim == 4 and data.shape[3] == 3 and node.creator is None and not _is_parameter(node):
            return self.pictures.add_colours(data[0])
        return self._picture(place, data, signed=_is_parameter(node), limit=None)

    def _picture_of_gradient(
        self, place: int, gradient: np.ndarray | None, limit: float | None
    ) -> int | None:
        return None if gradient is None else self._picture(place, gradient, signed=True, limit=limit)

    def _picture(self, place: int, array: np.ndarray, signed: bool, limit: float | None) -> int | None:
        if array.size < 2:
            return None
        if self.channels[place]:
            levels = strip(array[0][:, :, self.channels[place]], signed, limit)
        elif array.ndim == 1 or array.size == max(array.shape):
            levels = matrix(array.ravel(), signed, limit)
        else:
            levels = matrix(array.reshape(-1, array.shape[-1]), signed, limit)
        return self.pictures.add(levels, signed)


def _groups_of(recording: Recording) -> dict[str, list[int]]:
    """Return the ops of each outermost module that has several, in the order of the forward pass."""
    found: dict[str, list[int]] = {}
    for place, op in enumerate(recording.ops):
        if op.function.module_path:
            found.setdefault(op.function.module_path.split(".")[0], []).append(place)
    return {name: ops for name, ops in found.items() if len(ops) > 1}


def _names_of_inputs(op: Op) -> list[str]:
    """Return what the formula calls the inputs: x, w, b; or x_1, x_2, ... where there is any number."""
    parameters = [*inspect.signature(type(op.function).forward).parameters.values()][1:]
    count = len(op.edges)
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return [f"x_{place}" for place in range(1, count + 1)]
    return [p.name for p in parameters][:count]


def _remark(op: Op, y: np.ndarray) -> str:
    """Say what is special about an op here, such as what of a gradient gets through."""
    function = op.function
    if isinstance(function, ReLU):
        return f"{np.count_nonzero(y > 0):,} of {y.size:,} units are on and let their gradient pass"
    if isinstance(function, Conv2d) and function.window.is_pointwise:
        return "1x1 with stride 1: every pixel is a patch of its own, and cols is x itself"
    if isinstance(function, Dropout):
        kept = np.count_nonzero(function.mask)
        return f"{kept:,} of {y.size:,} units were kept and let their gradient pass, scaled up"
    return ""


def _is_parameter(node: Node) -> bool:
    """Whether a leaf is drawn inside the ops that use it: a parameter, or a constant number."""
    is_number = node.creator is None and node.data.size == 1 and not node.tensor.requires_grad
    return isinstance(node.tensor, Parameter) or is_number


def _few(array: np.ndarray) -> list[float | str | None]:
    return [number(value) for value in array.ravel()]


def _sum(parts: list[np.ndarray | None]) -> np.ndarray | None:
    given = [part.astype(np.float64) for part in parts if part is not None]
    return sum(given[1:], start=given[0]) if given else None
