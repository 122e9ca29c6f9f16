"""`minicnn experiment pooling`: a classifier on averages against one on all places."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from minicnn import models, nn
from minicnn.cli.experiment.short_training import ShortTrainings, starting_network
from minicnn.cli.experiment.ways import VAL_FRACTION, compare_ways, train_one_way
from minicnn.random import Stream, counter_generator
from minicnn.training import Config, Images

if TYPE_CHECKING:
    from minicnn.study.experiments.pooling import PoolingRun

PLACES = 4 * 4  # of googlenet-cifar's inception5b


def pooling_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn.study.experiments.pooling import PoolingExperiment

    return compare_ways(options, "pooling", PoolingExperiment, _train, val_fraction=VAL_FRACTION)


def _train(way: str, config: Config, images: Images, trainings: ShortTrainings) -> PoolingRun:
    from minicnn.study.experiments.pooling import FLATTENED, PoolingRun

    network = starting_network(config, len(images.facts.class_names))
    assert isinstance(network, models.GoogLeNet)
    if way == FLATTENED:
        _flatten(network, config)
    measured = train_one_way(way, network, config, images, trainings)
    return PoolingRun(way, config.seed, *measured, network.fc.num_parameters())


def _flatten(network: models.GoogLeNet, config: Config) -> None:
    """Put the classifier on all places of the last module; everything before it stays as it was."""
    channels, classes = network.fc.weight.shape
    rng = counter_generator(config.seed, Stream.INITIALISATION, place=1)
    network.global_pool = nn.Flatten()
    network.fc = nn.Linear(PLACES * channels, classes, rng=rng)
    nn.initialise(network.fc, config.initialisation, rng)
