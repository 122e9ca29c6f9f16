"""From the settings of a run to its schedule, and to the rates it has given."""

from __future__ import annotations

import functools
import math

import numpy as np

from minicnn import optim
from minicnn.training.config import Config


def make_schedule(config: Config, steps_per_epoch: int) -> optim.Schedule:
    """Make the schedule that the settings name.

    Examples
    --------
    >>> from minicnn.training.recipes import find_recipe
    >>> from dataclasses import asdict
    >>> config = Config(**asdict(find_recipe("blog", "googlenet", "cifar10")))
    >>> schedule = make_schedule(config, steps_per_epoch=100)
    >>> schedule(step=799, total=2500), schedule(step=800, total=2500)
    (1.0, 0.96)
    """
    schedules: dict[str, optim.Schedule] = {
        "constant": optim.constant,
        "cosine": optim.cosine,
        "poly": functools.partial(optim.poly, power=config.poly_power),
        "step": functools.partial(
            optim.step_decay, every=config.step_epochs * steps_per_epoch, factor=config.step_factor
        ),
        "one-cycle": functools.partial(optim.one_cycle, warm_up=config.warm_up),
        "plateau": optim.Plateau(patience=config.patience),
    }
    return schedules[config.schedule]


def warm_up_steps(config: Config, steps_per_epoch: int) -> int:
    """Return in how many steps from the start of a run the rate is still rising.

    Examples
    --------
    >>> warm_up_steps(Config(epochs=2, batch_size=64, lr=0.05, schedule="one-cycle"), steps_per_epoch=45)
    23
    >>> warm_up_steps(Config(epochs=2, batch_size=64, lr=0.05, schedule="constant"), steps_per_epoch=45)
    0
    """
    if config.schedule != "one-cycle":
        return 0
    return math.ceil(config.warm_up * config.epochs * steps_per_epoch)


def rates_so_far(
    schedule: optim.Schedule, lr: float, steps: int, steps_per_epoch: int, total_steps: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Give the learning rates up to a step as a fine curve over epochs, in arrays of one size.

    None if they depend on results: only the lines of metrics.jsonl know them.
    """
    if isinstance(schedule, optim.Plateau):
        return None
    places = np.unique(np.linspace(0, steps - 1, 400).astype(int))
    rates = [lr * schedule(int(step), total_steps) for step in places]
    return places / steps_per_epoch, np.array(rates)
