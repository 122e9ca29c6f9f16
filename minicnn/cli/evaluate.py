"""`minicnn eval`."""

from __future__ import annotations

import argparse

from minicnn.cli.images_of_run import load_images_of_run
from minicnn.cli.networks import INPUT_SIZE, load_network
from minicnn.data import Loader
from minicnn.parallel import set_num_threads
from minicnn.training import HEADS, evaluate


def evaluate_command(options: argparse.Namespace) -> int:
    """Print loss and accuracy of every head of a trained network; returns the exit status."""
    if options.threads is not None:
        set_num_threads(options.threads)
    network, checkpoint, file = load_network(options.checkpoint, options.device)
    config, images = load_images_of_run(checkpoint, options.data, options.data_dir)
    labelled = images.test if options.split == "test" else images.val
    batches = Loader(
        *labelled,
        config.batch_size,
        seed=config.seed,
        normalisation=images.facts.normalisation,
        size=INPUT_SIZE[config.model],
        device=options.device,
    )
    figures = evaluate(network, batches.epoch(0), heads=config.aux)
    print(
        f"{file}, after {checkpoint.place}, on the {options.split} split of {config.data} "
        f"({figures['main'].images:,} images)"
    )
    print("head     loss  accuracy    top-5")
    for head in HEADS:
        if head in figures:
            of_head = figures[head]
            print(f"{head}  {of_head.loss:7.4f}   {of_head.accuracy:7.2%}  {of_head.top5:7.2%}")
    return 0
