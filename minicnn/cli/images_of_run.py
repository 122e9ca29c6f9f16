"""The images that a trained network is measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from minicnn.cli.networks import INPUT_SIZE
from minicnn.errors import DataError
from minicnn.training import Checkpoint, Config, Images, load_images


def load_images_of_run(
    checkpoint: Checkpoint, data: str | None, data_dir: str | None
) -> tuple[Config, Images]:
    """Load the images of a run, or others of the same classes; normalised as the run's.

    Parameters
    ----------
    checkpoint : Checkpoint
    data, data_dir : str or None
        As given on the command line; None means the run's.

    Returns
    -------
    config : Config
        The run's, with the data that were loaded.
    images : Images

    Raises
    ------
    DataError
        If they are images of other classes than the network knows.
    """
    config = checkpoint.config
    if data is not None and data != config.data:
        config = replace(config, data=data, data_dir=None)
    if data_dir is not None:
        config = replace(config, data_dir=str(Path(data_dir).absolute()))
    images = load_images(config, INPUT_SIZE[config.model], checkpoint.data.normalisation)

    flag = "--data-dir" if data is None and data_dir is not None else "--data"
    known, found = checkpoint.data.class_names, images.facts.class_names
    if len(found) != len(known):
        raise DataError(
            f"{flag}: expected images of the {len(known)} classes the network knows, got {len(found)}"
        )
    for number, (own, other) in enumerate(zip(known, found, strict=True)):
        if own != other:
            raise DataError(
                f"{flag}: expected images of the classes the network knows, got those of {config.data}: "
                f"class {number} is '{own}' for the network and '{other}' there"
            )
    return config, images
