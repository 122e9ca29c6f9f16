"""`minicnn experiment plateau`: a rate divided when validation stops improving, against a constant one."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from minicnn.cli.experiment.repetition import Defaults
from minicnn.cli.experiment.short_training import ShortTrainings, starting_network
from minicnn.cli.experiment.ways import compare_ways, train_one_way
from minicnn.training import Config, Images

if TYPE_CHECKING:
    from minicnn.study.experiments.ways import WayRun

# Long enough for a few networks to stop improving at this rate, whose best is not far from what they can do.
DEFAULTS = Defaults(seeds=5, images=4000, batch_size=32, epochs=10)
RATE = 0.02
PATIENCE = 1  # epoch


def plateau_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn.study.experiments.plateau import PlateauExperiment

    return compare_ways(options, "plateau", PlateauExperiment, _train, DEFAULTS, lr=RATE, patience=PATIENCE)


def _train(way: str, config: Config, images: Images, trainings: ShortTrainings) -> WayRun:
    from minicnn.study.experiments.plateau import DIVIDED
    from minicnn.study.experiments.ways import WayRun

    config = replace(config, schedule="plateau" if way == DIVIDED else "constant")
    network = starting_network(config, len(images.facts.class_names))
    return WayRun(way, config.seed, *train_one_way(way, network, config, images, trainings))
