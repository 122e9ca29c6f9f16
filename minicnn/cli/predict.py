"""`minicnn predict`."""

from __future__ import annotations

import argparse

import numpy as np

from minicnn import data
from minicnn import functional as F
from minicnn.cli.failure import report_failure
from minicnn.cli.networks import INPUT_SIZE, load_network
from minicnn.errors import DataError
from minicnn.parallel import set_num_threads
from minicnn.tensor import Tensor, no_grad
from minicnn.training import SmallerBatches

BEST = 5
IMAGES_AT_A_TIME = 32


def predict_command(options: argparse.Namespace) -> int:
    """Print the most probable classes of each image; returns the exit status.

    An image that cannot be read does not keep the others from being named: its line goes to standard error,
    and the status says at the end that something was wrong.
    """
    if options.threads is not None:
        set_num_threads(options.threads)
    network, checkpoint, _ = load_network(options.checkpoint, options.device)
    names = checkpoint.data.class_names
    size = INPUT_SIZE[checkpoint.config.model]
    smaller = SmallerBatches()
    status = 0
    for start in range(0, len(options.images), IMAGES_AT_A_TIME):
        paths, images = [], []
        for path in options.images[start : start + IMAGES_AT_A_TIME]:
            try:
                images.append(data.read_image(path, size))
                paths.append(path)
            except DataError as error:
                status = report_failure(str(error))
        if not images:
            continue
        x = checkpoint.data.normalisation.apply(np.stack(images))

        def classify(part: slice, x: np.ndarray = x) -> np.ndarray:
            with no_grad():
                return F.softmax(network(Tensor(x[part]).to(options.device)).logits).numpy()

        probabilities = np.concatenate(list(smaller.run(classify, len(x))))  # (n, classes)
        for path, row in zip(paths, probabilities, strict=True):
            print(path)
            for best in np.argsort(-row, kind="stable")[:BEST]:
                print(f"  {row[best]:7.2%}  {names[best]}")
    return status
