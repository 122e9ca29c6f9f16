"""`minicnn experiment scale`: whether larger objects use larger filters."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from minicnn import data
from minicnn.cli.experiment.repetition import Defaults, repeat
from minicnn.cli.experiment.short_training import ShortTrainings, starting_network
from minicnn.cli.networks import INPUT_SIZE
from minicnn.nn import Module
from minicnn.training import Config, DataFacts, Images, evaluate, make_splits
from minicnn.training.splits import DATA_SEED

if TYPE_CHECKING:
    from minicnn.study.experiments.scale import ScaleRun

# The networks have to be good at it, or there would be nothing to see: nearly all are right.
DEFAULTS = Defaults(seeds=5, images=8000, batch_size=32)
MEASURED_IMAGES = 1000


def scale_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn.study.experiments.scale import ScaleExperiment

    runs: list[ScaleRun] = []

    def measure(config: Config, images: Images, trainings: ShortTrainings) -> ScaleExperiment:
        splits = make_splits(images, config, INPUT_SIZE[config.model])
        network = starting_network(config, len(images.facts.class_names))
        runs.append(_measure(network, config, images.facts, trained=False))
        trainings.train(network, config, splits, f"seed {config.seed}")
        runs.append(_measure(network, config, images.facts, trained=True))
        return ScaleExperiment(tuple(runs), len(images.facts.class_names))

    return repeat(options, "scale", DEFAULTS, 1, measure)


def _measure(network: Module, config: Config, facts: DataFacts, trained: bool) -> ScaleRun:
    from minicnn import study
    from minicnn.study.experiments.scale import ScaleRun

    pixels, labels, sizes = data.load_shapes(MEASURED_IMAGES, DATA_SEED, return_sizes=True, split="test")
    x = facts.normalisation.apply(pixels)
    accuracy = evaluate(network, [(x, labels)], heads=False)["main"].accuracy
    scores = study.branch_scores(network, x, labels)
    return ScaleRun(config.seed, trained, accuracy, sizes.astype(np.float64), scores)
