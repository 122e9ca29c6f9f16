"""`minicnn experiment injection`: the lecture's argument for auxiliary heads, measured."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from minicnn.cli.experiment.output import Output
from minicnn.cli.experiment.short_training import ShortTrainings, check_batch, starting_network
from minicnn.cli.measured_batch import choose_batch, seed_dropouts
from minicnn.cli.networks import INPUT_SIZE
from minicnn.cli.train import resolve_config
from minicnn.errors import UsageError
from minicnn.training import Config, Images, evaluate, load_images, make_splits
from minicnn.training.config import MODELS

if TYPE_CHECKING:
    from minicnn.study import Measurement

# Small enough that the eight trainings of two seeds take two to three minutes together, and long enough that
# a network with ReLU learns.
WIDTH = 0.125
EPOCHS = 4
BATCH_SIZE = 16
IMAGES = 2000
SEEDS = 2
MEASURED_IMAGES = 64


def injection_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn import study

    saturating = options.activation or "sigmoid"
    if saturating == "relu":
        raise UsageError("--activation: an experiment compares ReLU with sigmoid or tanh, got relu")
    output = Output(options, "injection")
    measurements: list[Measurement] = []
    size = INPUT_SIZE[MODELS[0]]
    seeds = range(options.seed, options.seed + (options.seeds or SEEDS))
    config = _config(options, "relu", True, options.seed)
    output.title = (
        f"googlenet-cifar of width {config.width:g}, trained on {config.limit:,} images of {config.data} "
        f"for {config.epochs} epochs; gradients on {MEASURED_IMAGES} of them"
    )
    with output, ShortTrainings(4 * len(seeds)) as trainings:
        for seed in seeds:
            images = load_images(_config(options, "relu", True, seed), size)
            check_batch(images, config)
            for activation in ("relu", saturating):
                for aux in (True, False):
                    config = _config(options, activation, aux, seed)
                    measurements += _measure(config, images, size, trainings)
            # By activation, then with heads before without, then by moment: as it is read.
            measurements.sort(key=lambda m: (m.activation != "relu", not m.heads, m.trained))
            output.keep(study.Injection(tuple(measurements)))
    return output.status


def _config(options: argparse.Namespace, activation: str, aux: bool, seed: int) -> Config:
    given = {
        "data": options.data or "shapes", "data_dir": options.data_dir, "limit": options.limit or IMAGES,
        "seed": seed, "width": options.width or WIDTH, "epochs": options.epochs or EPOCHS,
        "batch_size": BATCH_SIZE, "activation": activation, "aux": aux,
    }  # fmt: skip
    return resolve_config(given)


def _measure(config: Config, images: Images, size: int, trainings: ShortTrainings) -> list[Measurement]:
    """Measure a network at initialisation and after training."""
    from minicnn import study

    splits = make_splits(images, config, size)
    network = starting_network(config, len(images.facts.class_names))

    def measurement(trained: bool) -> Measurement:
        x, labels = choose_batch(images, MEASURED_IMAGES, size, config.seed)
        seed_dropouts(network, config.seed)
        flow = study.gradient_flow(network, x, labels, config.aux_weight)
        accuracy = evaluate(network, splits.val.epoch(0), heads=False)["main"].accuracy
        return study.Measurement(config.activation, config.aux, trained, config.seed, flow, accuracy)

    at_start = measurement(False)
    heads = "with heads" if config.aux else "without heads"
    trainings.train(network, config, splits, f"seed {config.seed}, {config.activation} {heads}")
    return [at_start, measurement(True)]
