"""What `minicnn experiment heads`, `pooling` and `plateau` share: a network, trained in several ways."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from minicnn import optim
from minicnn.cli.experiment.repetition import Defaults, repeat
from minicnn.cli.experiment.short_training import ShortTrainings
from minicnn.cli.networks import INPUT_SIZE
from minicnn.nn import Module
from minicnn.training import Config, Figures, Images, evaluate, make_splits
from minicnn.training.state import TrainingState

if TYPE_CHECKING:
    from minicnn.study.experiments.ways import WayRun, WaysExperiment

    Run = TypeVar("Run", bound=WayRun)

# Half a minute a training on two cores, at the end of which nine in ten are right, so that there is room for
# a difference in both directions.
DEFAULTS = Defaults(seeds=5, images=5000, batch_size=32)
VAL_FRACTION = 0.2

Accuracies = dict[str, float]


class Trained(NamedTuple):
    """What a training gave, see `WayRun`."""

    validation: tuple[Accuracies, ...]
    test: Accuracies
    lr: tuple[float, ...]


def compare_ways(
    options: argparse.Namespace,
    name: str,
    experiment: type[WaysExperiment[Run]],
    train: Callable[[str, Config, Images, ShortTrainings], Run],
    defaults: Defaults = DEFAULTS,
    **settings: Any,
) -> int:
    """Train in all ways for each seed, write, print; returns the exit status.

    Parameters
    ----------
    options : argparse.Namespace
    name : str
        Of the experiment.
    experiment : type
        Knows the ways, and what their runs say together.
    train : callable
        ``train(way, config, images, trainings)`` trains in one way.
    defaults : Defaults
    **settings
        Of all trainings.
    """
    runs: list[Run] = []

    def measure(config: Config, images: Images, trainings: ShortTrainings) -> WaysExperiment[Run]:
        runs.extend([train(way, config, images, trainings) for way in experiment.ways])
        return experiment(tuple(runs), len(images.facts.class_names))

    return repeat(options, name, defaults, len(experiment.ways), measure, **settings)


def train_one_way(
    way: str,
    network: Module,
    config: Config,
    images: Images,
    trainings: ShortTrainings,
    layer_factors: Mapping[str, float] | None = None,
) -> Trained:
    """Train a network, and look at validation images after each epoch, at test images at the end."""
    splits = make_splits(images, config, INPUT_SIZE[config.model])
    validation: list[Accuracies] = []
    lr: list[float] = []

    def after_epoch(state: TrainingState) -> None:
        lr.append(config.lr * state.optimizer.lr_factor)
        figures = evaluate(network, splits.val.epoch(0), heads=config.aux)
        validation.append(_accuracies(figures))
        if isinstance(state.schedule, optim.Plateau):
            state.schedule.observe(figures["main"].loss)

    trainings.train(network, config, splits, f"seed {config.seed}, {way}", layer_factors, after_epoch)
    test = _accuracies(evaluate(network, splits.test.epoch(0), heads=config.aux))
    return Trained(tuple(validation), test, tuple(lr))


def _accuracies(figures: dict[str, Figures]) -> Accuracies:
    return {head: of_head.accuracy for head, of_head in figures.items()}
