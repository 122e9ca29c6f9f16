"""`minicnn experiment injection`: the lecture's argument for auxiliary heads, measured."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from minicnn.cli.experiment.repetition import Defaults, repeat, title_of
from minicnn.cli.experiment.short_training import ShortTrainings, starting_network
from minicnn.cli.measured_batch import choose_batch, seed_dropouts
from minicnn.cli.networks import INPUT_SIZE
from minicnn.errors import UsageError
from minicnn.training import Config, Images, evaluate, make_splits

if TYPE_CHECKING:
    from minicnn.study import Measurement

# Small enough that the eight trainings of two seeds take some minutes together, and long enough that
# a network with ReLU learns.
DEFAULTS = Defaults(seeds=2, images=2000, batch_size=16)
MEASURED_IMAGES = 64


def injection_command(options: argparse.Namespace) -> int:
    """Train, measure, print, draw; returns the exit status."""
    from minicnn import study

    saturating = options.activation or "sigmoid"
    if saturating == "relu":
        raise UsageError("--activation: an experiment compares ReLU with sigmoid or tanh, got relu")
    measurements: list[Measurement] = []

    def measure(config: Config, images: Images, trainings: ShortTrainings) -> study.Injection:
        for activation in ("relu", saturating):
            for aux in (True, False):
                case = DEFAULTS.config(options, config.seed, activation=activation, aux=aux)
                measurements.extend(_measure(case, images, INPUT_SIZE[config.model], trainings))
        # By activation, then with heads before without, then by moment: as it is read.
        measurements.sort(key=lambda m: (m.activation != "relu", not m.heads, m.trained))
        return study.Injection(tuple(measurements), len(images.facts.class_names))

    def title(config: Config, images: Images) -> str:
        measured = min(MEASURED_IMAGES, images.facts.train_images)
        return f"{title_of(config, images)}; gradients on {measured} of them"

    return repeat(options, "injection", DEFAULTS, 4, measure, title)


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
