"""`minicnn flow --experiment injection`: the lecture's argument for auxiliary heads, measured."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from minicnn.cli.checks import check_output_file
from minicnn.cli.measured_batch import choose_batch, seed_dropouts
from minicnn.cli.networks import INPUT_SIZE, build_network
from minicnn.cli.train import resolve_config
from minicnn.errors import UsageError
from minicnn.nn import Module
from minicnn.training import Config, Images, Splits, evaluate, load_images, make_splits
from minicnn.training.config import MODELS
from minicnn.training.run_folder import write_whole
from minicnn.training.state import TrainingState
from minicnn.training.step import TrainingStep

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

    _check(options)
    saturating = options.activation or "sigmoid"
    picture = Path(options.png or "injection.png")
    numbers = picture.with_suffix(".json")
    for file in (picture, numbers):
        check_output_file("--png", file)
    start = time.perf_counter()
    measurements: list[Measurement] = []
    size = INPUT_SIZE[MODELS[0]]
    for seed in range(options.seed, options.seed + (options.seeds or SEEDS)):
        images = load_images(_config(options, "relu", True, seed), size)
        for activation in ("relu", saturating):
            for aux in (True, False):
                if sys.stderr.isatty():
                    heads = "with heads" if aux else "without heads"
                    print(f"\rseed {seed}: {activation} {heads} ...   ", end="", file=sys.stderr, flush=True)
                measurements += _measure(_config(options, activation, aux, seed), images, size)
    if sys.stderr.isatty():
        print(end="\r\033[K", file=sys.stderr)

    # By activation, then with heads before without, then by moment: as it is read.
    measurements.sort(key=lambda m: (m.activation != "relu", not m.heads, m.trained))
    found = study.Injection(tuple(measurements))
    write_whole(numbers, json.dumps(found.to_json(), indent=1) + "\n")
    found.draw(picture)
    if options.format == "json":
        print(json.dumps(found.to_json(), indent=1))
        return 0
    config = _config(options, "relu", True, options.seed)
    print(
        f"googlenet-cifar of width {config.width:g}, trained on {config.limit:,} images of {config.data} "
        f"for {config.epochs} epochs; gradients on {MEASURED_IMAGES} of them\n{found}\n"
        f"{time.perf_counter() - start:.0f} s; the picture is {picture}, the numbers are in {numbers}"
    )
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.what not in ("googlenet-cifar", "googlenet_cifar"):
        raise UsageError(f"--experiment trains {MODELS[0]} networks of its own; it takes no {options.what}")
    for name in ("index", "batch_size", "layers"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} does not go together with --experiment")
    if options.activation == "relu":
        raise UsageError("--activation: an experiment compares ReLU with sigmoid or tanh, got relu")
    if options.format not in ("table", "json"):
        raise UsageError(f"--format: an experiment prints a table or json, got {options.format}")


def _config(options: argparse.Namespace, activation: str, aux: bool, seed: int) -> Config:
    given = {
        "data": options.data or "shapes", "data_dir": options.data_dir, "limit": IMAGES, "seed": seed,
        "width": options.width or WIDTH, "epochs": options.epochs or EPOCHS, "batch_size": BATCH_SIZE,
        "activation": activation, "aux": aux,
    }  # fmt: skip
    return resolve_config(given)


def _measure(config: Config, images: Images, size: int) -> list[Measurement]:
    """Measure a network at initialisation and after training."""
    from minicnn import study

    splits = make_splits(images, config, size)
    classes = len(images.facts.class_names)
    network = build_network(config, classes)
    if not config.aux:  # so that networks with and without heads start with the same weights
        with_heads = build_network(replace(config, aux=True), classes)
        network.load_state_dict(with_heads.state_dict(), strict=False)

    def measurement(trained: bool) -> Measurement:
        x, labels = choose_batch(images, MEASURED_IMAGES, size, config.seed)
        seed_dropouts(network, config.seed)
        flow = study.gradient_flow(network, x, labels, config.aux_weight)
        accuracy = evaluate(network, splits.val.epoch(0), heads=False)["main"].accuracy
        return study.Measurement(config.activation, config.aux, trained, config.seed, flow, accuracy)

    at_start = measurement(False)
    _train(network, config, splits)
    return [at_start, measurement(True)]


def _train(network: Module, config: Config, splits: Splits) -> None:
    """Train as `minicnn train` does, without writing anything."""
    state = TrainingState(network, config, len(splits.train))
    take_step = TrainingStep(network, state)
    network.train()
    for epoch in range(config.epochs):
        for step, (images, labels) in enumerate(splits.train.epoch(epoch)):
            state.optimizer.lr_factor = state.schedule(state.step, config.epochs * len(splits.train))
            take_step(images, labels, epoch, step)
            state.step += 1
