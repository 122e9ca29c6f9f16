"""Where a gradient comes from: what the main head and each auxiliary head contribute to it.

The loss is a sum, main + w * aux1 + w * aux2, and walking a graph backwards is linear in what one starts
with. So a gradient is the sum of three parts, each of which is found by walking back from one head alone:

    forward once ──> graph ──┬─ from main's loss, seeded with 1 ──> part "main"
                             ├─ from aux1's loss, seeded with w ──> part "aux1"
                             └─ from aux2's loss, seeded with w ──> part "aux2"

All three walks pass over the same graph: the same activations, the same dropout masks, the same winners of
the poolings. The graph is that of `composed()`, in which every op of the network's diagram is one of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from minicnn import functional as F
from minicnn.backend import Array, array_module
from minicnn.errors import UsageError
from minicnn.nn import Module, in_mode
from minicnn.nn.googlenet_output import as_output, described
from minicnn.study.module_outputs import ModuleOutputs
from minicnn.tensor import Tensor, composed, grads_set_aside, observed_by

HEADS = ("main", "aux1", "aux2")

Parts = dict[str, Array]


def attribute_gradients(
    model: Module, x: Tensor | Array, labels: Array, aux_weight: float = 0.3, activations: bool = False
) -> dict[str, Parts]:
    """Split gradients of the total loss into what each head contributes.

    The network is run once, in training mode. Its mode, its `grad`s and its weights are left as they were;
    its dropouts draw one mask, from their own generators.

    Parameters
    ----------
    model : Module
        Its output is a `GoogLeNetOutput`, or the logits (N, classes) of the only head it has.
    x : Tensor or array
        What the network takes.
    labels : array of shape (N,)
        Integer classes.
    aux_weight : float, default=0.3
        Weight of each auxiliary head's loss, as in `nn.total_loss`.
    activations : bool, default=False
        Whether to split the gradients of the activations instead of those of the parameters.

    Returns
    -------
    dict of str to dict
        ``{name: {"main": array, "aux1": array, "aux2": array}}``. The three are weighted: they sum to the
        gradient of the total loss. Zeros where nothing arrives: below a head that was not run, above a
        head, and in a parameter that requires no gradient.

        Parameters are named as in `named_parameters`. An activation is named by the path of the module whose
        output it is: "conv1" after its ReLU, "inception4a.conv3x3", "inception4a" after the concatenation,
        in the order in which the modules finish. The output of a module is that of the last op that ran
        in it; where no op ran, there is none. A module that is called again has a second activation,
        "relu:2". What the network itself computes, outside of its modules, has no path and is left out.

    Raises
    ------
    UsageError
        If the model returns something else, no graph can be recorded, or the weight is no finite number.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import models
    >>> model = models.googlenet_cifar(width=0.05, rng=np.random.default_rng(0))
    >>> x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    >>> parts = attribute_gradients(model, x, np.array([3, 7]))
    >>> {head: part.shape for head, part in parts["inception4a.conv1x1.weight"].items()}
    {'main': (1, 1, 23, 9), 'aux1': (1, 1, 23, 9), 'aux2': (1, 1, 23, 9)}
    >>> [bool(part.any()) for part in parts["inception4b.conv1x1.weight"].values()]  # above the first head
    [True, False, True]
    """
    if not isinstance(model, Module):
        raise UsageError(f"attribute_gradients: model: expected a Module, got {type(model).__name__}")
    if not (isinstance(aux_weight, (int, float)) and math.isfinite(aux_weight)):
        raise UsageError(f"attribute_gradients: aux_weight: expected a finite number, got {aux_weight!r}")
    recorder = ModuleOutputs(model)
    images = Tensor(x.data if isinstance(x, Tensor) else x, requires_grad=activations)
    with in_mode(model, training=True), composed(), observed_by(recorder):
        returned = model(images)
    out = as_output(returned)
    if out is None:
        raise UsageError(
            "attribute_gradients: model: expected one that returns logits (N, classes) or a GoogLeNetOutput, "
            f"but {type(model).__name__} returned {described(returned)}"
        )
    losses = {
        head: F.cross_entropy(logits, labels)
        for head, logits in zip(HEADS, out, strict=True)
        if logits is not None
    }
    if not any(loss.requires_grad for loss in losses.values()):
        raise UsageError(
            "attribute_gradients: model: no graph was recorded: inside no_grad(), or with every parameter "
            "frozen, there are no gradients to split"
        )
    wanted = recorder.outputs if activations else dict(model.named_parameters())
    for tensor in wanted.values():
        if tensor.creator is not None:  # a leaf receives its gradient anyway
            tensor.retains_grad = True

    parts: dict[str, Parts] = {name: {} for name in wanted}
    with grads_set_aside(recorder.leaves):
        for head in HEADS:
            found = _walk(losses.get(head), 1.0 if head == "main" else aux_weight, wanted.values())
            for name, tensor in wanted.items():
                gradient = found.get(tensor)
                parts[name][head] = (
                    array_module(tensor.data).zeros_like(tensor.data) if gradient is None else gradient
                )
    return parts


def _walk(loss: Tensor | None, weight: float, wanted: Iterable[Tensor]) -> dict[Tensor, Array]:
    """Walk back from a loss and take away the gradients that arrive at the wanted tensors."""
    if loss is None or not loss.requires_grad:
        return {}
    loss.backward(weight, retain_graph=True)
    found: dict[Tensor, Array] = {}
    for tensor in wanted:
        if tensor.grad is not None:  # a tensor with two names comes here once
            found[tensor], tensor.grad = tensor.grad, None
    return found
