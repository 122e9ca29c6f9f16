"""`minicnn experiment heads`: trains with heads, without, and with learning rates of single layers."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from minicnn.cli.experiment.short_training import ShortTrainings, starting_network
from minicnn.cli.experiment.ways import VAL_FRACTION, compare_ways, train_one_way
from minicnn.cli.measured_batch import choose_batch, seed_dropouts
from minicnn.cli.networks import INPUT_SIZE
from minicnn.training import Config, Images

if TYPE_CHECKING:
    from minicnn.study.experiments.heads import HeadsRun

MEASURED_IMAGES = 64


def heads_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn.study.experiments.heads import HeadsExperiment

    return compare_ways(options, "heads", HeadsExperiment, _train, val_fraction=VAL_FRACTION)


def _train(way: str, config: Config, images: Images, trainings: ShortTrainings) -> HeadsRun:
    from minicnn.study.experiments.heads import RATES, WITH, HeadsRun

    rates = _measured_factors(config, images) if way == RATES else {}
    config = replace(config, aux=way == WITH)
    network = starting_network(config, len(images.facts.class_names))
    return HeadsRun(way, config.seed, *train_one_way(way, network, config, images, trainings, rates), rates)


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
