"""Recognising the commonest way in which a network without batch normalisation does not train.

A network that gives every class the same probability has a loss of ln(K): 2.303 for ten classes. A head
that stays there has learned nothing about its input: the signal died on the way, or the rate is so high
or so low that nothing comes of it. While the rate is still rising it may well be too low: nothing is judged
before the warm-up is over.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

from minicnn.training.config import Config
from minicnn.training.metrics import Figures
from minicnn.training.schedule_of_run import warm_up_steps
from minicnn.training.watch.causes import CAUSES, advise
from minicnn.training.watch.findings import Finding

CLOSE = 0.02  # relative distance from ln(K) that counts as being there
LEFT = 0.95  # share of ln(K) below which a head is free of it: well away, not a wobble
CHANCE = 1.3  # times 1/K: accuracy up to here is guessing
WINDOW = 100  # steps to judge by


class PlateauWatch:
    """Watches the heads of a run and says in words when one is stuck at ln(K), and when it gets away.

    Parameters
    ----------
    num_classes : int
        K.
    steps_per_epoch : int
        The last `WINDOW` steps of an epoch are judged, or all of a shorter one; of an epoch in which the
        warm-up ends, those after it, if they are half as many at least.
    config : Config
        Of the run: says how long the warm-up is, and what may be to blame.

    Attributes
    ----------
    before : dict of Figures
        Of each head, the totals of an epoch before the steps that are judged.
    stuck : set of str
        The heads that are, as far as it was said.
    """

    def __init__(self, num_classes: int, steps_per_epoch: int, config: Config) -> None:
        self.num_classes = num_classes
        self.steps_per_epoch = steps_per_epoch
        self.config = config
        self.warm_up = warm_up_steps(config, steps_per_epoch)
        self.before: dict[str, Figures] = {}
        self.stuck: set[str] = set()

    def judged_from(self, epoch: int) -> int | None:
        """Return the step of the run from which on an epoch (from 0) is judged; None if it is not.

        Examples
        --------
        >>> config = Config(epochs=4, batch_size=64, lr=0.05, schedule="one-cycle", warm_up=0.3)
        >>> watch = PlateauWatch(10, steps_per_epoch=150, config=config)
        >>> watch.warm_up, [watch.judged_from(epoch) for epoch in range(4)]
        (180, [None, 200, 350, 500])
        """
        end = (epoch + 1) * self.steps_per_epoch
        window = min(WINDOW, self.steps_per_epoch)
        start = max(end - window, self.warm_up)
        return start if 2 * (end - start) >= window else None

    def before_step(self, step: int, figures: Mapping[str, Figures]) -> None:
        """Take note of an epoch's running totals before a step of the run (from 0)."""
        if step == self.judged_from(step // self.steps_per_epoch):
            self.before = {head: copy.copy(totals) for head, totals in figures.items()}

    def after_epoch(
        self, step: int, training: Mapping[str, Figures], validation: Mapping[str, Figures]
    ) -> Finding | None:
        """Judge an epoch by its totals after so many steps of the run; return what is news.

        Validation comes last, so it shows what was learned in the very last steps.
        """
        start = self.judged_from(step // self.steps_per_epoch - 1)
        if start is None:
            return None
        judged = {head: totals - self.before.get(head, Figures()) for head, totals in training.items()}
        free = {head for head in judged if validation[head].loss < LEFT * math.log(self.num_classes)}
        stuck = {head for head in judged if is_stuck(judged[head], self.num_classes)} - free
        freed = self.stuck & free
        caught = stuck - self.stuck
        self.stuck = (self.stuck | stuck) - freed
        level = f"ln({self.num_classes}) = {math.log(self.num_classes):.3f}"
        if caught:
            where = {head: judged[head].loss for head in judged if head in stuck}
            figures = ", ".join(f"{head} {loss:.3f}" for head, loss in where.items())
            accuracy = max(judged[head].accuracy for head in where)
            seen = (
                f"the loss of {_name_heads(stuck, judged)} over the last {step - start} steps is that of "
                f"guessing, {level} ({figures}; accuracy {accuracy:.1%})."
            )
            if step - self.warm_up < WINDOW:
                seen += " By itself, so early, that may only mean: not yet. Then it takes more epochs."
            return Finding("plateau", step, where, seen, advise(CAUSES, self.config))
        if freed:
            where = {head: validation[head].loss for head in judged if head in freed}
            seen = f"the loss of {_name_heads(freed, judged)} has left {level}."
            return Finding("plateau", step, where, seen, over=True)
        return None


def _name_heads(some: set[str], heads: Mapping[str, Figures]) -> str:
    if len(some) == len(heads):
        return "all heads" if len(some) > 1 else "the network"
    return " and ".join(head for head in heads if head in some)


def is_stuck(figures: Figures, num_classes: int) -> bool:
    """Tell whether a head's loss is that of guessing, and its accuracy too.

    Examples
    --------
    >>> is_stuck(Figures(images=1000, loss_sum=2303.0, hits=104), num_classes=10)
    True
    >>> is_stuck(Figures(images=1000, loss_sum=2303.0, hits=180), num_classes=10)
    False
    """
    guessing = math.log(num_classes)
    return abs(figures.loss - guessing) <= CLOSE * guessing and figures.accuracy <= CHANCE / num_classes
