"""One look into a network in training: what its layers let through, forwards and backwards.

A handful of training images goes through the network and back once, op by op (`composed`) and in evaluation
mode: no dropout draws a number, no weight and no gradient is changed. So a run that is looked into is the
same run, bit for bit.

    signal      of each block, in the order in which they run: how much of its output differs from image to
                image, sqrt(mean over units of the variance over images / mean square); 0: the same for all
    dead        of each ReLU layer: the share of its units that no image switches on, anywhere
    saturated   of each sigmoid or tanh layer: the share of its values where the slope is below a 20th of the
                steepest
    gradient    of each layer: norm of the gradient of the total loss over the norm of the weights
    move        of each layer: how far the last step moved it (rate * velocity), over the norm of the weights
    symmetric   of each layer: whether all its units have the same weights
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minicnn.backend import Array, to_numpy
from minicnn.nn import Module, Parameter, in_mode, total_loss
from minicnn.optim import SGD
from minicnn.parallel import on_device_of, pinned_blas
from minicnn.tensor import Function, Observer, Tensor, composed, grads_set_aside, observed_only_by

STEEPEST = {"sigmoid": 0.25, "tanh": 1.0}
FLAT = 0.05  # of the steepest: 20 units of gradient arrive, one goes on


@dataclass(frozen=True)
class Examination:
    """What one look into a network found; each mapping is in network order.

    Attributes
    ----------
    signals : mapping of str to float
        By block: a direct child of the network. That of a block whose output is all zero is 0.
    dead, saturated : mapping of str to float
        By the path of the layer whose activation it is; between 0 and 1.
    gradients, moves : mapping of str to float
        By the path of the layer. Layers whose weights are all zero have none.
    symmetric : mapping of str to bool
        By the path of the layer; those with a single unit are left out.
    """

    signals: Mapping[str, float]
    dead: Mapping[str, float]
    saturated: Mapping[str, float]
    gradients: Mapping[str, float]
    moves: Mapping[str, float]
    symmetric: Mapping[str, bool]


def examine(
    model: Module, images: Array, labels: Array, optimizer: SGD, aux_weight: float, heads: bool
) -> Examination:
    """Look into a network between two steps, and leave everything as it was.

    Parameters
    ----------
    model : Module
        Its output is a `GoogLeNetOutput`.
    images : float array of shape (N, H, W, C)
        Some, on the device of the network.
    labels : integer array of shape (N,)
    optimizer : SGD
        Knows the last step.
    aux_weight : float
        Weight of each auxiliary head's loss.
    heads : bool
        Whether the network has auxiliary heads.
    """
    looker = _Looker()
    parameters = dict(model.named_parameters())
    with grads_set_aside(parameters.values()), pinned_blas():
        with in_mode(model, training=False), composed(), observed_only_by(looker):
            total_loss(model(Tensor(images), heads=heads), labels, aux_weight).backward()
        moves = {
            parameter: optimizer.last_move(place) for place, parameter in enumerate(optimizer.parameters)
        }
        layers: dict[str, list[Parameter]] = {}
        for name, parameter in parameters.items():
            layers.setdefault(name.rpartition(".")[0], []).append(parameter)
        weights = {layer: _norm(*(p.data for p in own)) for layer, own in layers.items()}
        gradients = {
            layer: _norm(*(p.grad for p in own if p.grad is not None)) / weights[layer]
            for layer, own in layers.items()
            if weights[layer] > 0
        }
        relative_moves = {
            layer: math.hypot(*(moves[p] for p in own if p in moves)) / weights[layer]
            for layer, own in layers.items()
            if weights[layer] > 0
        }
        symmetric = {
            layer: _is_symmetric(own[0].data) for layer, own in layers.items() if own[0].shape[-1] > 1
        }
    return Examination(looker.signals, looker.dead, looker.saturated, gradients, relative_moves, symmetric)


class _Looker(Observer):
    """Measures what layers hand on, while the network runs."""

    def __init__(self) -> None:
        self.signals: dict[str, float] = {}
        self.dead: dict[str, float] = {}
        self.saturated: dict[str, float] = {}
        self._last: Array = None

    def after_forward(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._last = output.data
        with on_device_of(output.data):
            if function.name == "relu":
                self.dead[function.module_path] = _share_of_dead_units(output.data)
            elif function.name in STEEPEST:
                self.saturated[function.module_path] = _share_on_flat_ends(output.data, function.name)

    def leave_module(self, path: str) -> None:
        if "." not in path and self._last is not None:
            with on_device_of(self._last):
                self.signals[path] = _signal(self._last)


def _share_of_dead_units(y: Array) -> float:
    on = (y > 0).reshape(-1, y.shape[-1]).any(axis=0)
    return 1.0 - float(on.mean())


def _share_on_flat_ends(y: Array, name: str) -> float:
    slopes = y * (1 - y) if name == "sigmoid" else 1 - y * y
    return float((slopes < FLAT * STEEPEST[name]).mean())


def _signal(y: Array) -> float:
    values = y.reshape(len(y), -1).astype(np.float64)
    mean_square = float((values * values).mean())
    return math.sqrt(float(values.var(axis=0).mean()) / mean_square) if mean_square > 0 else 0.0


def _is_symmetric(weight: Array) -> bool:
    return bool((weight == weight[..., :1]).all())


def _norm(*arrays: Array) -> float:
    # In float64: squares of small float32 numbers are too small for float32.
    return math.hypot(*(float(np.linalg.norm(to_numpy(a).astype(np.float64).ravel())) for a in arrays))
