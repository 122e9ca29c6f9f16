"""`minicnn experiment heads`: trains with heads, without, and with learning rates for single layers."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from minicnn.cli.experiment.output import Output
from minicnn.cli.experiment.short_training import ShortTrainings, starting_network
from minicnn.cli.measured_batch import choose_batch, seed_dropouts
from minicnn.cli.networks import INPUT_SIZE
from minicnn.cli.train import resolve_config
from minicnn.training import Config, Figures, Images, evaluate, load_images, make_splits

if TYPE_CHECKING:
    from minicnn.study.experiments.heads import HeadsRun

# A fifth is held back for validation. Half a minute a training on two cores, at the end of which nine in ten
# are right, so that there is room for a difference in both directions.
WIDTH = 0.125
EPOCHS = 4
BATCH_SIZE = 32
IMAGES = 5000
SEEDS = 5
MEASURED_IMAGES = 64


def heads_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn.study.experiments.heads import WAYS, HeadsExperiment

    output = Output(options, "heads")
    seeds = range(options.seed, options.seed + (options.seeds or SEEDS))
    runs: list[HeadsRun] = []
    with output, ShortTrainings(len(WAYS) * len(seeds)) as trainings:
        for seed in seeds:
            config = _config(options, seed)
            images = load_images(config, INPUT_SIZE[config.model])
            output.title = (
                f"googlenet-cifar of width {config.width:g}, trained on {images.facts.train_images:,} "
                f"images of {config.data} for {config.epochs} epochs"
            )
            runs += [_run(way, config, images, trainings) for way in WAYS]
            output.keep(HeadsExperiment(tuple(runs)))
    return output.status


def _config(options: argparse.Namespace, seed: int) -> Config:
    given = {
        "data": options.data or "shapes", "data_dir": options.data_dir, "limit": options.limit or IMAGES,
        "val_fraction": 0.2, "seed": seed, "width": options.width or WIDTH,
        "epochs": options.epochs or EPOCHS, "batch_size": BATCH_SIZE,
    }  # fmt: skip
    return resolve_config(given)


def _run(way: str, config: Config, images: Images, trainings: ShortTrainings) -> HeadsRun:
    from minicnn.study.experiments.heads import RATES, WITH, HeadsRun

    rates = _measured_factors(config, images) if way == RATES else {}
    config = replace(config, aux=way == WITH)
    splits = make_splits(images, config, INPUT_SIZE[config.model])
    network = starting_network(config, len(images.facts.class_names))
    validation: list[dict[str, float]] = []

    def after_epoch() -> None:
        validation.append(_accuracies(evaluate(network, splits.val.epoch(0), heads=config.aux)))

    trainings.train(network, config, splits, f"seed {config.seed}, {way}", rates, after_epoch)
    test = _accuracies(evaluate(network, splits.test.epoch(0), heads=config.aux))
    return HeadsRun(way, config.seed, tuple(validation), test, rates)


def _measured_factors(config: Config, images: Images) -> dict[str, float]:
    """How many times as large the heads make the gradient of each layer below them, before training."""
    from minicnn import study

    network = starting_network(config, len(images.facts.class_names))
    x, labels = choose_batch(images, MEASURED_IMAGES, INPUT_SIZE[config.model], config.seed)
    seed_dropouts(network, config.seed)
    flow = study.gradient_flow(network, x, labels, config.aux_weight)
    return {
        block.layer: block.norm / block.norms["main"]
        for block in flow.trunk
        if block.norm_of("aux1", "aux2") > 0
    }


def _accuracies(figures: dict[str, Figures]) -> dict[str, float]:
    return {head: of_head.accuracy for head, of_head in figures.items()}
