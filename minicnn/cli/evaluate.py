"""`minicnn eval`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from minicnn.cli.networks import INPUT_SIZE, load_network
from minicnn.data import Loader
from minicnn.errors import DataError
from minicnn.parallel import set_num_threads
from minicnn.training import HEADS, evaluate, load_images


def evaluate_command(options: argparse.Namespace) -> int:
    """Print loss and accuracy of every head of a trained network; returns the exit status."""
    if options.threads is not None:
        set_num_threads(options.threads)
    network, checkpoint, file = load_network(options.checkpoint, options.device)
    config = checkpoint.config
    if options.data is not None and options.data != config.data:
        config = replace(config, data=options.data, data_dir=None)
    if options.data_dir is not None:
        config = replace(config, data_dir=str(Path(options.data_dir).absolute()))
    size = INPUT_SIZE[config.model]
    images = load_images(config, size, checkpoint.data.normalisation)
    classes, known = images.facts.class_names, checkpoint.data.class_names
    if len(classes) != len(known):
        raise DataError(
            f"--data: expected images of the {len(known)} classes the network knows, got {len(classes)}"
        )
    labelled = images.test if options.split == "test" else images.val
    batches = Loader(
        *labelled,
        config.batch_size,
        seed=config.seed,
        normalisation=images.facts.normalisation,
        size=size,
        device=options.device,
    )
    figures = evaluate(network, batches.epoch(0), heads=config.aux)
    print(
        f"{file}, after epoch {checkpoint.epoch}, on the {options.split} split of {config.data} "
        f"({figures['main'].images:,} images)"
    )
    print("head     loss  accuracy    top-5")
    for head in HEADS:
        if head in figures:
            of_head = figures[head]
            print(f"{head}  {of_head.loss:7.4f}   {of_head.accuracy:7.2%}  {of_head.top5:7.2%}")
    return 0
