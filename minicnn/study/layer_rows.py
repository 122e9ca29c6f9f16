"""The layers of a network, read off the ops of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from minicnn.backend import array_module
from minicnn.cost import multiplications
from minicnn.nn import Conv2d, Linear, Module, Parameter, in_mode
from minicnn.shapes import Window
from minicnn.study.column_buffers import column_bytes
from minicnn.study.receptive_field import Field, field_after, field_of_image
from minicnn.tensor import Function, Tensor, composed, no_grad, observe

_ACTIVATIONS = {"relu", "sigmoid", "tanh"}


@dataclass
class LayerRow:
    """One op; the activation of an `nn.Conv2d` or `nn.Linear` counts as part of it.

    Attributes
    ----------
    name : str
        Path of the module that called the op, e.g. "inception3a.conv3x3"; outside of modules, its kind.
    kind : str
        Name of the op, as in `minicnn.functional`.
    window : str
        Kernel, stride unless it is 1, and groups if there are several: "3x3/2". Empty without a window.
    activation : str
        "relu", "sigmoid" or "tanh" if it is part of the layer, else empty.
    output_shape : tuple of int
        With the batch.
    params : int
        Number of weights and biases that the op uses.
    biases : int
        How many of them are biases: in a parameter with one axis only.
    macs : int
        Multiplications of a convolution or a matrix product, for one image; 0 for everything else.
    receptive_field : int, pair of int, or None
        How many pixels of the image one element of the output sees, as a pair (vertical, horizontal) if
        these differ. None if the input is no batch of images, or if it cannot be told.
    sees_everything : bool
        Whether that is the whole image by construction (linear layers, global pooling).
    training_only : bool
        Whether it belongs to a part that is dropped at inference, such as an auxiliary head.
    module_path : str
        Path of the module that called the op; empty outside of modules.
    sources : tuple of int
        Which rows the inputs come from, by their place in the list.
    activation_bytes : int
        Memory of the output, for the whole batch; 0 for a view of the input, such as most reshapes.
    naive_column_bytes : int
        Memory that the columns of the whole batch would take, if im2col wrote them for every convolution,
        those with 1x1 kernels included; 0 for other ops.
    tile_column_bytes : int
        Memory of the columns of the largest tile, which is all that im2col needs at a time, once for each
        thread.
    """

    name: str
    kind: str
    window: str
    activation: str
    output_shape: tuple[int, ...]
    params: int
    biases: int
    macs: int
    receptive_field: int | tuple[int, int] | None
    sees_everything: bool
    module_path: str
    sources: tuple[int, ...]
    activation_bytes: int
    naive_column_bytes: int
    tile_column_bytes: int
    training_only: bool = False


class Layers(NamedTuple):
    """What one forward pass consisted of."""

    rows: list[LayerRow]
    parameters: set[Parameter]


def watch(model: Module, x: Tensor, **arguments: Any) -> Layers:
    """Run `model(x, **arguments)` in evaluation mode, op by op, and list what was run."""
    recorder = _Recorder(model, x)
    # Only the shapes matter: the logarithm of a zero is no reason to complain.
    quiet = np.errstate(all="ignore")
    with in_mode(model, training=False), no_grad(), composed(), observe(recorder.note), quiet:
        model(x, **arguments)
    return Layers(recorder.rows, recorder.parameters)


class _Origin(NamedTuple):
    """Where a tensor comes from."""

    row: int | None  # None: it is the input
    from_input: bool  # False: it was made of parameters alone
    field: Field | None


class _Recorder:
    """Makes a row of every op. It keeps no tensors alive: a large batch shall not pile up."""

    def __init__(self, model: Module, x: Tensor) -> None:
        self.root = model._name
        self.modules = dict(model.named_modules())
        self.input_shape = x.shape
        self.rows: list[LayerRow] = []
        self.parameters: set[Parameter] = set()
        self.origins: WeakKeyDictionary[Tensor, _Origin] = WeakKeyDictionary()
        self.origins[x] = _Origin(None, True, field_of_image(x.shape))

    def note(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        path = self._path_below_root(function.module_path)
        origins = [self.origins[t] for t in inputs if t in self.origins]
        sources = tuple(dict.fromkeys(o.row for o in origins if o.row is not None))
        from_input = any(o.from_input for o in origins)
        seen = [(t, o.field) for t in inputs if (o := self.origins.get(t)) is not None and o.from_input]
        field = field_after(function, seen, output, self.input_shape) if seen else None
        if self._is_activation_of_layer(function, path, sources):
            self.rows[sources[0]].activation = function.name
            self.origins[output] = _Origin(sources[0], from_input, field)
            return

        parameters = {t for t in inputs if isinstance(t, Parameter)}
        self.parameters |= parameters
        naive_columns, tile_columns = column_bytes(function, inputs)
        products = multiplications(function.name, [t.shape for t in inputs], output.shape)
        self.rows.append(
            LayerRow(
                name=path or function.name,
                kind=function.name,
                window=_describe_window(function),
                activation="",
                output_shape=output.shape,
                params=sum(p.size for p in parameters),
                biases=sum(p.size for p in parameters if p.ndim == 1),
                macs=products // self.input_shape[0] if from_input else products,
                receptive_field=None if field is None else _one_if_equal(field.size),
                sees_everything=field is not None and field.everything,
                module_path=path,
                sources=sources,
                activation_bytes=0 if _is_view(output, inputs) else output.size * output.dtype.itemsize,
                naive_column_bytes=naive_columns,
                tile_column_bytes=tile_columns,
            )
        )
        self.origins[output] = _Origin(len(self.rows) - 1, from_input, field)

    def _path_below_root(self, path: str) -> str:
        """Take away the name that the model has as a part of another one."""
        return path.removeprefix(self.root).removeprefix(".") if self.root else path

    def _is_activation_of_layer(self, function: Function, path: str, sources: tuple[int, ...]) -> bool:
        layer = self.modules.get(path)
        return (
            isinstance(layer, (Conv2d, Linear))
            and function.name in _ACTIVATIONS
            and len(sources) == 1
            and self.rows[sources[0]].module_path == path
        )


def _describe_window(function: Function) -> str:
    window = getattr(function, "window", None)
    if not isinstance(window, Window):
        return ""
    text = f"{window.KH}x{window.KW}"
    if window.SH != window.SW:
        text += f"/({window.SH}, {window.SW})"
    elif window.SH > 1:
        text += f"/{window.SH}"
    groups = getattr(function, "groups", 1)
    return f"{text}, {groups} groups" if groups > 1 else text


def _is_view(output: Tensor, inputs: tuple[Tensor, ...]) -> bool:
    may_share_memory = array_module(output.data).may_share_memory
    return any(may_share_memory(output.data, t.data) for t in inputs)


def _one_if_equal(size: tuple[int, int]) -> int | tuple[int, int]:
    return size[0] if size[0] == size[1] else size
