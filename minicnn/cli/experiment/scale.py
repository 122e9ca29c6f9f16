"""`minicnn experiment scale`: whether larger objects use larger filters."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from minicnn import data
from minicnn.cli.experiment.output import Output
from minicnn.cli.experiment.short_training import ShortTrainings, check_batch, starting_network
from minicnn.cli.networks import INPUT_SIZE
from minicnn.cli.train import resolve_config
from minicnn.nn import Module
from minicnn.training import Config, DataFacts, evaluate, load_images, make_splits
from minicnn.training.splits import DATA_SEED

if TYPE_CHECKING:
    from minicnn.study.experiments.scale import ScaleRun

# The networks have to be good at it, or there would be nothing to see: 19 of 20 are right.
WIDTH = 0.125
EPOCHS = 4
BATCH_SIZE = 32
IMAGES = 8000
SEEDS = 5
MEASURED_IMAGES = 1000


def scale_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn.study.experiments.scale import ScaleExperiment

    output = Output(options, "scale")
    seeds = range(options.seed, options.seed + (options.seeds or SEEDS))
    runs: list[ScaleRun] = []
    with output, ShortTrainings(len(seeds)) as trainings:
        for seed in seeds:
            config = _config(options, seed)
            images = load_images(config, INPUT_SIZE[config.model])
            check_batch(images, config)
            splits = make_splits(images, config, INPUT_SIZE[config.model])
            output.title = (
                f"googlenet-cifar of width {config.width:g}, trained on {images.facts.train_images:,} "
                f"images of {config.data} for {config.epochs} epochs"
            )
            network = starting_network(config, len(images.facts.class_names))
            at_start = _measure(network, config, images.facts, trained=False)
            trainings.train(network, config, splits, f"seed {seed}")
            runs += [at_start, _measure(network, config, images.facts, trained=True)]
            output.keep(ScaleExperiment(tuple(runs)))
    return output.status


def _config(options: argparse.Namespace, seed: int) -> Config:
    given = {
        "data": "shapes", "limit": options.limit or IMAGES, "seed": seed, "width": options.width or WIDTH,
        "epochs": options.epochs or EPOCHS, "batch_size": BATCH_SIZE,
    }  # fmt: skip
    return resolve_config(given)


def _measure(network: Module, config: Config, facts: DataFacts, trained: bool) -> ScaleRun:
    from minicnn import study
    from minicnn.study.experiments.scale import ScaleRun

    pixels, labels, sizes = data.load_shapes(MEASURED_IMAGES, DATA_SEED, return_sizes=True, split="test")
    x = facts.normalisation.apply(pixels)
    accuracy = evaluate(network, [(x, labels)], heads=False)["main"].accuracy
    scores = study.branch_scores(network, x, labels)
    return ScaleRun(config.seed, trained, accuracy, sizes.astype(np.float64), scores)
