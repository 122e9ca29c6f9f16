"""Where the first number that is not finite came from, and what keeps such numbers out of the weights."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np

from minicnn.anomaly import detect_anomaly, is_finite
from minicnn.backend import Array, array_module
from minicnn.errors import AnomalyError
from minicnn.nn import Module, total_loss
from minicnn.tensor import Tensor, composed, grads_set_aside


def guarded(loss: Tensor, norm: float | Array) -> Tensor:
    """Return the loss, or NaN if the norm of the gradients is not finite: what may not move any weight.

    Without waiting for a GPU, on which both may still be under way.
    """
    return Tensor(array_module(loss.data).asarray(loss.data + 0 * norm, dtype=loss.dtype))


def find_first_nonfinite(model: Module, images: Array, labels: Array, aux_weight: float) -> str:
    """Run the step again, op by op, and say in words where the first infinite or undefined number appears.

    Parameters
    ----------
    model : Module
        With the weights, and the dropouts, that gave a loss or a gradient that is not finite.
    images : array of shape (N, H, W, C)
        The batch that did.
    labels : array of shape (N,)
    aux_weight : float
        Weight of each auxiliary head's loss.
    """
    if not is_finite(images):
        return "the images hold numbers that are not finite"
    for name, parameter in model.named_parameters():
        if not is_finite(parameter.data):
            return f"{name} holds numbers that are not finite"
    try:
        with grads_set_aside(model.parameters()), composed(), detect_anomaly():
            total_loss(model(Tensor(images)), labels, aux_weight).backward()
    except AnomalyError as error:
        return f"the first of these numbers came from {error.origin}"
    return "it did not come up again when the step was done op by op"


def quiet_overflow() -> AbstractContextManager[object]:
    """Silence NumPy's overflow warnings in this thread: whoever trains reports divergence once, in words."""
    return np.errstate(all="ignore")
