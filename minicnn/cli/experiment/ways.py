"""What `minicnn experiment heads` and `pooling` have in common: the same network, trained in several ways."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from minicnn.cli.experiment.repetition import Defaults, repeat
from minicnn.cli.experiment.short_training import ShortTrainings
from minicnn.cli.networks import INPUT_SIZE
from minicnn.nn import Module
from minicnn.training import Config, Figures, Images, evaluate, make_splits

if TYPE_CHECKING:
    from minicnn.study.experiments.ways import WayRun, WaysExperiment

    Run = TypeVar("Run", bound=WayRun)

# A fifth is held back for validation. Half a minute a training on two cores, at the end of which nine in ten
# are right, so that there is room for a difference in both directions.
DEFAULTS = Defaults(seeds=5, images=5000, batch_size=32)

Accuracies = dict[str, float]


def compare_ways(
    options: argparse.Namespace,
    name: str,
    experiment: type[WaysExperiment[Run]],
    train: Callable[[str, Config, Images, ShortTrainings], Run],
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
    """
    runs: list[Run] = []

    def measure(config: Config, images: Images, trainings: ShortTrainings) -> WaysExperiment[Run]:
        runs.extend([train(way, config, images, trainings) for way in experiment.ways])
        return experiment(tuple(runs))

    def config_of(seed: int) -> Config:
        return DEFAULTS.config(options, seed, val_fraction=0.2)

    return repeat(options, name, DEFAULTS.seeds, len(experiment.ways), config_of, measure)


def train_one_way(
    way: str,
    network: Module,
    config: Config,
    images: Images,
    trainings: ShortTrainings,
    layer_factors: Mapping[str, float] | None = None,
) -> tuple[tuple[Accuracies, ...], Accuracies]:
    """Train a network; returns the accuracy of its heads after each epoch, and on test images."""
    splits = make_splits(images, config, INPUT_SIZE[config.model])
    validation: list[Accuracies] = []

    def after_epoch() -> None:
        validation.append(_accuracies(evaluate(network, splits.val.epoch(0), heads=config.aux)))

    trainings.train(network, config, splits, f"seed {config.seed}, {way}", layer_factors, after_epoch)
    return tuple(validation), _accuracies(evaluate(network, splits.test.epoch(0), heads=config.aux))


def _accuracies(figures: dict[str, Figures]) -> Accuracies:
    return {head: of_head.accuracy for head, of_head in figures.items()}
