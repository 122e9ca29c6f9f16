"""Learning rate schedules: what to multiply the learning rate by, as a function of progress.

A schedule is called as ``schedule(step, total)``: `step` counts from 0, `total` is the length of the run
in steps, and the answer is the factor for `SGD.lr_factor`. Being functions of (step, total) alone, they
need no state and resuming cannot disturb them. The exception is `Plateau`, which looks at results.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

from minicnn.errors import UsageError


class Schedule(Protocol):
    """Anything that turns (step, total) into a factor for the learning rate."""

    def __call__(self, step: int, total: int) -> float:
        """Return the factor for one step."""
        ...


def constant(step: int, total: int) -> float:
    """Leave the rate alone: 1."""
    return 1.0


def step_decay(step: int, total: int, every: int, factor: float = 0.96) -> float:
    """Multiply by `factor` after every `every` steps: ``factor ** (step // every)``.

    With 0.96 and the steps of eight epochs this is the GoogLeNet paper's schedule.

    Examples
    --------
    >>> [round(step_decay(step, 30, every=10), 4) for step in (0, 9, 10, 29)]
    [1.0, 1.0, 0.96, 0.9216]
    """
    return factor ** (step // every)


def poly(step: int, total: int, power: float = 0.5) -> float:
    """Fall to zero as ``(1 - step / total) ** power``: Caffe's "poly", 0.5 in its GoogLeNet quick solver.

    Examples
    --------
    >>> poly(0, 100), poly(75, 100)
    (1.0, 0.5)
    """
    return (1.0 - step / total) ** power


def cosine(step: int, total: int) -> float:
    """Fall to zero along half a cosine: ``(1 + cos(pi * step / total)) / 2``.

    Loshchilov and Hutter 2017, "SGDR", without restarts.

    Examples
    --------
    >>> cosine(0, 100), cosine(50, 100)
    (1.0, 0.5)
    """
    return 0.5 * (1.0 + math.cos(math.pi * step / total))


def one_cycle(step: int, total: int, warm_up: float = 0.25, start: float = 0.04) -> float:
    """Rise linearly from `start` to 1, then fall linearly to zero.

    With P = warm_up * total: ``start + (1 - start) * step / P`` up to step P, and
    ``(total - step) / (total - P)`` after it. The slow start lets a network without batch normalisation
    find its feet before the rate is high; the long way down lets it settle.

    Parameters
    ----------
    step, total : int
    warm_up : float, default=0.25
        Share of the run that rises, at least 0 and below 1.
    start : float, default=0.04
        Factor of the very first step.

    References
    ----------
    Smith and Topin 2017, "Super-convergence".

    Examples
    --------
    >>> [one_cycle(step, 100) for step in (0, 25, 40, 70)]
    [0.04, 1.0, 0.8, 0.4]
    """
    peak = warm_up * total
    if step < peak:
        return start + (1.0 - start) * step / peak
    return (total - step) / (total - peak)


class Plateau:
    """Divide the rate when results stop improving.

    Call `observe` with the validation loss after each epoch. After `patience` epochs in a row that were not
    better than the best so far, the factor is multiplied by `factor` and the counting starts again.

    Parameters
    ----------
    patience : int, default=3
        Epochs without improvement to wait for, at least 1.
    factor : float, default=0.1
        What to multiply by, between 0 and 1.
    threshold : float, default=0.001
        Relative improvement that counts as one: a loss that creeps down by less is on a plateau.

    Examples
    --------
    >>> schedule = Plateau(patience=2)
    >>> factors = []
    >>> for loss in (2.0, 1.5, 1.5, 1.6, 1.4):
    ...     schedule.observe(loss)
    ...     factors.append(schedule(step=0, total=1))
    >>> factors
    [1.0, 1.0, 1.0, 0.1, 0.1]
    """

    def __init__(self, patience: int = 3, factor: float = 0.1, threshold: float = 1e-3) -> None:
        if patience < 1:
            raise UsageError(f"Plateau: patience must be at least 1 epoch, got {patience}")
        if not 0.0 < factor < 1.0:
            raise UsageError(f"Plateau: factor must lie between 0 and 1, got {factor}")
        self.patience = patience
        self.factor = factor
        self.threshold = threshold
        self.best = math.inf
        self.waited = 0
        self.drops = 0

    def __call__(self, step: int, total: int) -> float:
        """Return the present factor; progress plays no part."""
        return self.factor**self.drops

    def observe(self, loss: float) -> None:
        """Take note of one epoch's validation loss."""
        if loss < self.best * (1.0 - self.threshold):
            self.best = loss
            self.waited = 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.drops += 1
            self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far; JSON can hold it exactly."""
        return {
            "best": None if math.isinf(self.best) else self.best,
            "waited": self.waited,
            "drops": self.drops,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.best = math.inf if state["best"] is None else state["best"]
        self.waited = state["waited"]
        self.drops = state["drops"]
