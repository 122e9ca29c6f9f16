"""What happened: the graph below a loss, and every gradient that went along it, as arrays.

An observer looks on while `loss.backward()` runs, so the order of the steps and all numbers are the engine's.
Backward is linear: run from one term of the loss alone, the same walk tells what this term contributes. A
recording holds the whole and the parts, edge by edge.

    tensor ──edge──> op ──> tensor          an edge is one use of a tensor by an op: ops[e.op].inputs[e.place]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minicnn.backend import Array, to_numpy
from minicnn.errors import UsageError
from minicnn.study.explorer.heads import Head, heads_of
from minicnn.study.graph import functions_below
from minicnn.tensor import Function, Observer, Tensor, grads_set_aside, observed_by

MOST_OPS = 1500  # the browser lays out no more


@dataclass
class Edge:
    """One use of a tensor by an op, and the gradient that came back along it.

    Attributes
    ----------
    tensor, op : int
        Places in `Recording.tensors` and `Recording.ops`.
    place : int
        Which input of the op it is.
    gradient : array or None
        What the op's backward returned for this input; None if nobody wanted it.
    of_heads : list of (array or None)
        What each head alone sends along; None where it sends nothing. Empty above the heads.
    arrived, of : int
        It was contribution number `arrived` of `of` to the gradient of its tensor.
    sum_so_far : array or None
        The gradient of the tensor when this contribution had been added.
    """

    tensor: int
    op: int
    place: int
    gradient: np.ndarray | None = None
    of_heads: list[np.ndarray | None] = field(default_factory=list)
    arrived: int = 0
    of: int = 0
    sum_so_far: np.ndarray | None = None


@dataclass
class Node:
    """A tensor of the graph.

    Attributes
    ----------
    tensor : Tensor
    data : array
        Its values.
    creator : int or None
        Place in `Recording.ops`; None for a leaf.
    uses : list of int
        Places in `Recording.edges`, in the order of the forward pass.
    gradient : array or None
        Its whole gradient.
    """

    tensor: Tensor
    data: np.ndarray
    creator: int | None
    uses: list[int] = field(default_factory=list)
    gradient: np.ndarray | None = None


@dataclass
class Op:
    """An op of the graph: its function, and the places of its edges and of its output."""

    function: Function
    edges: list[int]
    output: int


@dataclass
class Recording:
    """The graph below a loss and one walk through it.

    Attributes
    ----------
    ops : list of Op
        In the order of the forward pass.
    tensors : list of Node
    edges : list of Edge
    steps : list of int
        The ops in the order in which the walk came to them.
    heads : list of Head
        The terms of the loss.
    """

    ops: list[Op]
    tensors: list[Node]
    edges: list[Edge]
    steps: list[int]
    heads: list[Head]

    @property
    def loss(self) -> Node:
        """What the walk began at."""
        return self.tensors[self.ops[self.steps[0]].output]


class _Step:
    """What a function was given and gave back."""

    def __init__(self, function: Function, gy: Array, gradients: Sequence[Array | None]) -> None:
        self.function = function
        self.gy = np.array(to_numpy(gy))
        # Copies: the walk may add further contributions into the arrays themselves.
        self.gradients = [
            np.array(to_numpy(gradient)) if wanted and gradient is not None else None
            for gradient, wanted in zip(gradients, function.needs_gradient, strict=True)
        ]


class _Watch(Observer):
    def __init__(self) -> None:
        self.steps: list[_Step] = []

    def after_backward(self, function: Function, gy: Array, gradients: tuple[Array | None, ...]) -> None:
        self.steps.append(_Step(function, gy, gradients))


def record(loss: Tensor) -> Recording:
    """Walk backward from a loss, once for the whole and once for each of its terms, and keep everything.

    Parameters
    ----------
    loss : Tensor of one element
        Its graph is kept, and no `grad` is changed.

    Raises
    ------
    UsageError
        If it is no tensor of one element, depends on nothing that requires a gradient, or its graph was
        freed by an earlier backward, has more than `MOST_OPS` ops, or a tensor without elements.

    Examples
    --------
    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> recording = record((x * x).sum())
    >>> [recording.ops[step].function.name for step in recording.steps]
    ['sum', 'multiply']
    >>> [edge.gradient.tolist() for edge in recording.edges if edge.tensor == 0]
    [[3.0, 4.0], [3.0, 4.0]]
    >>> recording.tensors[0].gradient.tolist()
    [6.0, 8.0]
    """
    _check(loss)
    functions = functions_below(loss)
    _check_functions(functions)
    heads = heads_of(loss)
    with grads_set_aside({loss}.union(*(function.inputs for function in functions))):
        whole = _walk(loss, 1)
        parts = [whole] if len(heads) == 1 else [_walk(head.term, head.times) for head in heads]
    recording = _graph(loss, whole, heads)
    _fill_in(recording, whole)
    _fill_in_heads(recording, parts)
    return recording


def _check(loss: Tensor) -> None:
    if not isinstance(loss, Tensor):
        raise UsageError(f"explore: loss: expected a Tensor, got {type(loss).__name__}")
    if loss.size != 1:
        raise UsageError(
            f"explore: loss: expected a tensor with one element, got shape {loss.shape}; add up: loss.sum()"
        )
    if loss.creator is None:
        raise UsageError(
            "explore: loss: nothing was recorded: it was not computed from tensors that require a gradient "
            "(or under no_grad)"
        )


def _check_functions(functions: set[Function]) -> None:
    if any(function.freed for function in functions):
        raise UsageError(
            "explore: loss: its graph was freed by an earlier backward; compute it again, or call that "
            "backward with retain_graph=True"
        )
    if len(functions) > MOST_OPS:
        raise UsageError(
            f"explore: loss: expected a graph of at most {MOST_OPS:,} ops, got one of {len(functions):,}; "
            "a page cannot show that many"
        )
    for function in sorted(functions, key=lambda function: function._creation):  # the first one is named
        for tensor in function.inputs:
            if tensor.size == 0:
                raise UsageError(
                    f"explore: loss: an input of {function.title} has shape {tensor.shape}: "
                    "there are no numbers to show"
                )


def _walk(root: Tensor, times: int) -> list[_Step]:
    watch = _Watch()
    with observed_by(watch):
        root.backward(float(times), retain_graph=True)
    return watch.steps


def _graph(loss: Tensor, walk: list[_Step], heads: list[Head]) -> Recording:
    functions = [step.function for step in reversed(walk)]
    place = {function: index for index, function in enumerate(functions)}
    tensors: dict[Tensor, int] = {}
    nodes: list[Node] = []
    ops: list[Op] = []
    edges: list[Edge] = []

    def node_of(tensor: Tensor) -> int:
        if tensor not in tensors:
            tensors[tensor] = len(nodes)
            creator = None if tensor.creator is None else place.get(tensor.creator)
            nodes.append(Node(tensor, np.array(to_numpy(tensor.data)), creator))
        return tensors[tensor]

    for index, function in enumerate(functions):
        numbers = []
        for position, tensor in enumerate(function.inputs):
            numbers.append(len(edges))
            edges.append(Edge(node_of(tensor), index, position))
            nodes[edges[-1].tensor].uses.append(numbers[-1])
        ops.append(Op(function, numbers, output=-1))
    node_of(loss)
    for number, node in enumerate(nodes):
        if node.creator is not None:
            ops[node.creator].output = number
    return Recording(ops, nodes, edges, [place[step.function] for step in walk], heads)


def _fill_in(recording: Recording, walk: list[_Step]) -> None:
    """Note the gradients of every edge and tensor, and how the contributions added up."""
    sums: dict[int, np.ndarray] = {}
    for index, step in zip(recording.steps, walk, strict=True):
        op = recording.ops[index]
        recording.tensors[op.output].gradient = step.gy
        for number, gradient in zip(op.edges, step.gradients, strict=True):
            edge = recording.edges[number]
            if gradient is None:
                continue
            uses = [recording.edges[use] for use in recording.tensors[edge.tensor].uses]
            edge.gradient = gradient
            edge.arrived = 1 + sum(use.arrived > 0 for use in uses)
            edge.of = sum(recording.ops[e.op].function.needs_gradient[e.place] for e in uses)
            known = sums.get(edge.tensor)
            edge.sum_so_far = sums[edge.tensor] = gradient if known is None else known + gradient
    for number, total in sums.items():
        if recording.tensors[number].creator is None:
            recording.tensors[number].gradient = total


def _fill_in_heads(recording: Recording, parts: list[list[_Step]]) -> None:
    """Note what each head contributes to every edge."""
    numbers = {op.function: index for index, op in enumerate(recording.ops)}
    for head, walk in enumerate(parts):
        for step in walk:
            for number, gradient in zip(
                recording.ops[numbers[step.function]].edges, step.gradients, strict=True
            ):
                if gradient is not None:
                    _part_of(recording, number)[head] = gradient
    # From a term up to the loss there is nothing but additions: all that comes down is the term's own.
    places = {node.tensor: place for place, node in enumerate(recording.tensors)}
    for head, (_, term, _) in enumerate(recording.heads):
        for number in recording.tensors[places[term]].uses:
            if not recording.edges[number].of_heads:
                _part_of(recording, number)[head] = recording.edges[number].gradient


def _part_of(recording: Recording, edge: int) -> list[np.ndarray | None]:
    parts = recording.edges[edge].of_heads
    if not parts:
        parts.extend([None] * len(recording.heads))
    return parts
