"""`minicnn predict`."""

from __future__ import annotations

import argparse

import numpy as np

from minicnn import data
from minicnn import functional as F
from minicnn.cli.networks import INPUT_SIZE, load_network
from minicnn.parallel import set_num_threads
from minicnn.tensor import Tensor, no_grad
from minicnn.training import SmallerBatches

BEST = 5
IMAGES_AT_A_TIME = 32


def predict_command(options: argparse.Namespace) -> int:
    """Print the most probable classes of each image; returns the exit status."""
    if options.threads is not None:
        set_num_threads(options.threads)
    network, checkpoint, _ = load_network(options.checkpoint, options.device)
    names = checkpoint.data.class_names
    size = INPUT_SIZE[checkpoint.config.model]
    images = np.stack([data.read_image(path, size) for path in options.images])
    smaller = SmallerBatches()
    for start in range(0, len(images), IMAGES_AT_A_TIME):
        x = checkpoint.data.normalisation.apply(images[start : start + IMAGES_AT_A_TIME])

        def classify(part: slice, x: np.ndarray = x) -> np.ndarray:
            with no_grad():
                return F.softmax(network(Tensor(x[part]).to(options.device)).logits).numpy()

        probabilities = np.concatenate(list(smaller.run(classify, len(x))))  # (n, classes)
        for path, row in zip(options.images[start:], probabilities, strict=False):
            print(path)
            for best in np.argsort(-row, kind="stable")[:BEST]:
                print(f"  {row[best]:7.2%}  {names[best]}")
    return 0
