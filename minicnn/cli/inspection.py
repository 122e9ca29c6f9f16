"""`minicnn gradcheck`: what the gradient checker says, on the command line."""

from __future__ import annotations

import argparse

import numpy as np

# Channels of the network whose gradients are checked: the fewest there can be, because every coordinate
# costs two forward passes.
SMALL_WIDTH = 0.02


def gradcheck_command(options: argparse.Namespace) -> int:
    """Print a table of worst errors; returns 0 if every gradient is right, else 1."""
    from minicnn import gradient_check, models

    all_right = True
    if options.model is None:
        text, right = gradient_check.cli_report(op=options.op)
        print(text)
        all_right &= right
    if options.op is None:
        name = options.model or "googlenet-cifar"
        rng = np.random.default_rng(0)
        network = models.GoogLeNet(name == "googlenet-cifar", num_classes=10, width=SMALL_WIDTH, rng=rng)
        print(f"\n{name} with both heads and {network.num_parameters():,} parameters", flush=True)
        text, right = gradient_check.cli_report(model=network.astype(np.float64))
        print(text)
        all_right &= right
    return 0 if all_right else 1
