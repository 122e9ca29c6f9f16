"""From the settings of a run to its schedule."""

from __future__ import annotations

import functools
import math

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
