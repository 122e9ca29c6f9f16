"""A run of the `minicnn` command that takes a second; its fixtures are in cli/conftest.py."""

from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from minicnn.training.newest_checkpoint import CHECKPOINT

# The smallest GoogLeNet there is, on a folder of sixty images: about ten milliseconds a step.
QUICK = [
    "--width", "0.02", "--batch-size", "16", "--val-fraction", "0.25", "--lr", "0.01",
    "--average-epochs", "1",
]  # fmt: skip

COLOURS = ("blue", "green", "red")


def write_photos(root: Path) -> Path:
    """Make a folder of three classes of twenty images each, in which one colour is stronger."""
    rng = np.random.default_rng(0)
    for place, name in enumerate(COLOURS):
        (root / name).mkdir()
        for number in range(20):
            image = rng.integers(0, 150, (32, 32, 3))
            image[:, :, 2 - place] += 105
            Image.fromarray(image.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


def same_arrays(first: Path, second: Path) -> bool:
    a, b = load_file(first / CHECKPOINT), load_file(second / CHECKPOINT)
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)
