"""Groups of parameters with a learning rate and a weight decay of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minicnn.errors import UsageError
from minicnn.tensor import Tensor

if TYPE_CHECKING:
    from minicnn.nn import Module, Parameter


@dataclass
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay."""

    params: list[Parameter]
    lr: float
    weight_decay: float


def weight_and_bias_groups(
    model: Module, lr: float, weight_decay: float, bias_lr_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Split a model's parameters so that biases are not decayed.

    A bias has one value per output, cannot overfit much, and pulling it to zero only moves the point
    where its ReLU opens. Caffe's GoogLeNet besides trains biases at twice the rate.

    Parameters
    ----------
    model : Module
    lr : float
        Rate of the weights.
    weight_decay : float
        Decay of the weights; biases have none.
    bias_lr_factor : float, default=1.0
        Rate of the biases, relative to `lr`.

    Returns
    -------
    list of dict
        Two groups for `SGD`: the weights, and the parameters whose name ends in ``bias``.
    """
    named = list(model.named_parameters())
    weights = [p for name, p in named if name.rpartition(".")[2] != "bias"]
    biases = [p for name, p in named if name.rpartition(".")[2] == "bias"]
    groups = [
        {"params": weights, "lr": lr, "weight_decay": weight_decay},
        {"params": biases, "lr": lr * bias_lr_factor, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_groups(given: list[Any], lr: float, weight_decay: float) -> list[ParameterGroup]:
    """Turn what `SGD` was given, parameters or dicts, into checked groups."""
    if not any(isinstance(item, Mapping) for item in given):
        given = [{"params": given}]
    groups = []
    for item in given:
        if not isinstance(item, Mapping):
            raise UsageError("SGD: expected parameters or groups (dicts), got a mixture of both")
        unknown = sorted(set(item) - {"params", "lr", "weight_decay"})
        if unknown or "params" not in item:
            wrong = f"unknown {', '.join(map(repr, unknown))}" if unknown else "no 'params'"
            raise UsageError(f"SGD: a group has 'params', and may have 'lr' and 'weight_decay'; got {wrong}")
        given_parameters = item["params"]
        parameters: list[Any] = [given_parameters]
        if not isinstance(given_parameters, Tensor):  # iterating over a tensor would give its rows
            parameters = list(given_parameters)
        for parameter in parameters:
            if not (isinstance(parameter, Tensor) and parameter.requires_grad and parameter.creator is None):
                raise UsageError(f"SGD: expected parameters to train, got {type(parameter).__name__}")
        group = ParameterGroup(parameters, item.get("lr", lr), item.get("weight_decay", weight_decay))
        if not (math.isfinite(group.lr) and group.lr > 0):
            raise UsageError(f"SGD: lr must be a number above 0, got {group.lr}")
        if not (math.isfinite(group.weight_decay) and group.weight_decay >= 0):
            raise UsageError(f"SGD: weight_decay must be a number of at least 0, got {group.weight_decay}")
        groups.append(group)
    return groups
