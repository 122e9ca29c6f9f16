"""What `minicnn experiment heads` and `pooling` have in common: the same network, trained in several ways."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from minicnn.cli.experiment.output import Findings, Output
from minicnn.cli.experiment.short_training import ShortTrainings, check_batch
from minicnn.cli.networks import INPUT_SIZE
from minicnn.cli.train import resolve_config
from minicnn.nn import Module
from minicnn.training import Config, Figures, Images, evaluate, load_images, make_splits

# A fifth is held back for validation. Half a minute a training on two cores, at the end of which nine in ten
# are right, so that there is room for a difference in both directions.
WIDTH = 0.125
EPOCHS = 4
BATCH_SIZE = 32
IMAGES = 5000
SEEDS = 5

Accuracies = dict[str, float]


def compare_ways(
    options: argparse.Namespace,
    name: str,
    ways: int,
    train_all: Callable[[Config, Images, ShortTrainings], object],
    findings: Callable[[], Findings],
) -> int:
    """Train in all ways for each seed, write, print; returns the exit status.

    Parameters
    ----------
    options : argparse.Namespace
    name : str
        Of the experiment.
    ways : int
        How many there are.
    train_all : callable
        ``train_all(config, images, trainings)`` trains in all ways.
    findings : callable
        What is known so far.
    """
    output = Output(options, name)
    seeds = range(options.seed, options.seed + (options.seeds or SEEDS))
    with output, ShortTrainings(ways * len(seeds)) as trainings:
        for seed in seeds:
            config = _config(options, seed)
            images = load_images(config, INPUT_SIZE[config.model])
            check_batch(images, config)
            output.title = (
                f"googlenet-cifar of width {config.width:g}, trained on {images.facts.train_images:,} "
                f"images of {config.data} for {config.epochs} epochs"
            )
            train_all(config, images, trainings)
            output.keep(findings())
    return output.status


def _config(options: argparse.Namespace, seed: int) -> Config:
    given = {
        "data": options.data or "shapes", "data_dir": options.data_dir, "limit": options.limit or IMAGES,
        "val_fraction": 0.2, "seed": seed, "width": options.width or WIDTH,
        "epochs": options.epochs or EPOCHS, "batch_size": BATCH_SIZE,
    }  # fmt: skip
    return resolve_config(given)


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
