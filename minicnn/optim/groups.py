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
    model: Module,
    lr: float,
    weight_decay: float,
    bias_lr_factor: float = 1.0,
    layer_factors: Mapping[str, float] | None = None,
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
    layer_factors : mapping of str to float, default=None
        Rates of their own for direct children of the model, relative to the others: ``{"conv1": 2.0}``.

    Returns
    -------
    list of dict
        Two groups for `SGD`: the weights, and the parameters whose name ends in ``bias``; with
        `layer_factors`, two for each factor.

    Raises
    ------
    UsageError
        If there is a factor for something that has no parameters in this model.

    Examples
    --------
    >>> from minicnn import nn
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> groups = weight_and_bias_groups(model, lr=0.1, weight_decay=1e-4, layer_factors={"0": 2.0})
    >>> [(group["lr"], group["weight_decay"], group["params"][0].shape) for group in groups]
    [(0.2, 0.0001, (4, 3)), (0.1, 0.0001, (3, 2)), (0.2, 0.0, (3,)), (0.1, 0.0, (2,))]
    """
    factors = dict(layer_factors or {})
    named = [(name.partition(".")[0], name.rpartition(".")[2], p) for name, p in model.named_parameters()]
    if unknown := sorted(factors.keys() - {layer for layer, _, _ in named}):
        raise UsageError(f"layer_factors: {unknown[0]}: the model has no child of this name with parameters")
    groups = []
    for biases in (False, True):
        by_factor: dict[float, list[Parameter]] = {}
        for layer, kind, parameter in named:
            if (kind == "bias") == biases:
                by_factor.setdefault(factors.get(layer, 1.0), []).append(parameter)
        rate, decay = (lr * bias_lr_factor, 0.0) if biases else (lr, weight_decay)
        groups += [
            {"params": parameters, "lr": rate * factor, "weight_decay": decay}
            for factor, parameters in by_factor.items()
        ]
    return groups


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
