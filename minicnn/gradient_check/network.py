"""All parameters of a network at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from minicnn import functional as F
from minicnn.backend import Array
from minicnn.errors import DTypeError, UsageError
from minicnn.gradient_check.check import check
from minicnn.gradient_check.differences import Settings
from minicnn.gradient_check.report import GradcheckReport
from minicnn.nn import Dropout, GoogLeNetOutput, Module, in_mode, total_loss
from minicnn.random import Stream, checked_generator, counter_generator
from minicnn.tensor import Tensor


def gradcheck_model(
    model: Module,
    x: Array | Tensor,
    labels: Array,
    samples: int | None = 20,
    aux_weight: float = 0.3,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-4,
    rng: np.random.Generator | None = None,
    progress: Callable[[], object] = lambda: None,
) -> GradcheckReport:
    """Check the gradient of a network's training loss with respect to each of its parameters.

    The network runs in training mode, with its auxiliary heads; dropout draws the same masks each time.
    Modes, generators and gradients are as before when it is done.

    Parameters
    ----------
    model : Module
        In float64. Returns logits (N, classes), or a `GoogLeNetOutput`.
    x : array or Tensor of shape (N, ...)
        float64 inputs.
    labels : array of shape (N,)
        Integer classes.
    samples : int, optional
        How many coordinates of each parameter to check, drawn at random; None for all.
    aux_weight : float, default=0.3
        Weight of the auxiliary heads' losses.
    eps, atol, rtol, rng
        As for `gradcheck`.
    progress : callable, optional
        Called after each coordinate.

    Returns
    -------
    GradcheckReport
        Its inputs are the parameters, under their names.

    Raises
    ------
    DTypeError
        If the parameters or x are not float64.

    Examples
    --------
    >>> from minicnn import nn
    >>> model = nn.Sequential(nn.Linear(3, 4, activation="tanh"), nn.Linear(4, 2)).astype(np.float64)
    >>> report = gradcheck_model(model, np.ones((5, 3)), np.array([0, 1, 1, 0, 1]))
    >>> bool(report), report.checked
    (True, 26)
    """
    inputs = x if isinstance(x, Tensor) else Tensor(x)
    if inputs.dtype != np.float64:
        raise DTypeError(
            f"gradcheck_model: x: expected float64, got {inputs.dtype}; use x.astype(np.float64)"
        )
    parameters = dict(model.named_parameters())
    if not parameters:
        raise UsageError("gradcheck_model: model: expected one with parameters, got none")
    dropouts = [module for _, module in model.named_modules() if isinstance(module, Dropout)]

    def loss(*_: Tensor) -> Tensor:
        for place, dropout in enumerate(dropouts):
            dropout.rng = counter_generator(0, Stream.DROPOUT, place=place)
        out = model(inputs)
        if isinstance(out, GoogLeNetOutput):
            return total_loss(out, labels, aux_weight)
        return F.cross_entropy(out, labels)

    with in_mode(model, training=True), _generators_kept(dropouts):
        return check(
            loss,
            list(parameters.values()),
            list(parameters),
            Settings(eps, atol, rtol),
            samples,
            checked_generator(rng),
            progress,
        )


@contextmanager
def _generators_kept(dropouts: list[Dropout]) -> Iterator[None]:
    before = [dropout.rng for dropout in dropouts]
    try:
        yield
    finally:
        for dropout, rng in zip(dropouts, before, strict=True):
            dropout.rng = rng
