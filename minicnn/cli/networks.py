"""The network of a run: made from its settings, or read from its checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from minicnn import models
from minicnn.backend import use_device
from minicnn.errors import CheckpointError, DeviceError, MinicnnError
from minicnn.nn import Module
from minicnn.random import Stream, counter_generator
from minicnn.training import Checkpoint, Config, find_checkpoint
from minicnn.training.smaller_batches import say_aside

INPUT_SIZE = {"googlenet-cifar": 32, "googlenet": 224}


def use_device_for_command(device: str) -> None:
    """Let this command work on "cpu", "cuda" or "cuda:<number>"; errors name the flag."""
    try:
        use_device(device)
    except DeviceError as error:
        raise DeviceError(f"--{error}") from None


def build_network(config: Config, num_classes: int) -> Module:
    """Make the network of a run, as it is before the first step."""
    rng = counter_generator(config.seed, Stream.INITIALISATION)
    if config.model == "googlenet":
        return models.googlenet(
            num_classes,
            aux=config.aux,
            activation=config.activation,
            rng=rng,
            initialisation=config.initialisation,
        )
    return models.googlenet_cifar(
        num_classes, width=config.width, aux=config.aux, activation=config.activation, rng=rng,
        initialisation=config.initialisation,
    )  # fmt: skip


def load_network(path: str, device: str = "cpu") -> tuple[Module, Checkpoint, Path]:
    """Make a trained network from a checkpoint or from the folder of a run.

    Parameters
    ----------
    path : str
        The file or the folder.
    device : str, default="cpu"
        Where the network is wanted; it need not be where it was trained.

    Returns
    -------
    network : Module
        In eval mode; with auxiliary heads if the checkpoint has them.
    checkpoint : Checkpoint
        Its config says whether there are heads.
    file : Path
        Which file it came from.
    """
    use_device_for_command(device)
    checkpoint, file, notice = find_checkpoint(path)
    if notice:
        say_aside(notice)
    weights = checkpoint.final_weights
    checkpoint.config = replace(checkpoint.config, aux=any(name.startswith("aux") for name in weights))
    classes = len(checkpoint.data.class_names)
    if not any(array.shape[-1:] == (classes,) for array in weights.values()):  # before memory is got for them
        raise CheckpointError(
            f"{file}: its weights do not fit its own settings: "
            f"no layer has an output for each of {classes:,} classes"
        )
    try:
        network = build_network(checkpoint.config, classes)
        network.load_state_dict(weights)
    except (MinicnnError, MemoryError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{file}: its weights do not fit its own settings: {error}") from None
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"{file}: {name} holds numbers that are not finite: nothing follows from it"
            )
    network.eval().to(device)
    return network, checkpoint, file
