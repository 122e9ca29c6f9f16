"""What every experiment does: the same for several seeds, with settings of its own that flags may change."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from minicnn.cli.experiment.output import Findings, Output
from minicnn.cli.experiment.short_training import ShortTrainings
from minicnn.cli.networks import INPUT_SIZE
from minicnn.cli.train import resolve_config
from minicnn.data.splits import number_held_back
from minicnn.errors import UsageError
from minicnn.training import Config, Images, load_images


class Defaults(NamedTuple):
    """What an experiment takes if its flags do not say otherwise.

    Attributes
    ----------
    seeds : int
        How often everything is repeated.
    images : int
        Training images, those held back for validation included.
    batch_size : int
    epochs : int
    width : float
    """

    seeds: int
    images: int
    batch_size: int
    epochs: int = 4
    width: float = 0.125

    def config(self, options: argparse.Namespace, seed: int, **settings: Any) -> Config:
        """Return the settings of a training."""
        given = {
            "data": options.data or "shapes", "data_dir": options.data_dir, "seed": seed,
            "limit": options.limit or self.images, "width": options.width or self.width,
            "epochs": options.epochs or self.epochs, "batch_size": self.batch_size,
        }  # fmt: skip
        return resolve_config({**given, **settings})


def title_of(config: Config, images: Images) -> str:
    """Say in a line what was trained on what.

    The first line of what an experiment prints.
    """
    return (
        f"{config.model} of width {config.width:g}, trained on {images.facts.train_images:,} images of "
        f"{config.data} for {config.epochs} epoch{'s' if config.epochs > 1 else ''}"
    )


def repeat(
    options: argparse.Namespace,
    name: str,
    defaults: Defaults,
    trainings_per_seed: int,
    measure: Callable[[Config, Images, ShortTrainings], Findings],
    title: Callable[[Config, Images], str] = title_of,
    **settings: Any,
) -> int:
    """Measure for one seed after the other, write after each, print at the end; returns the exit status.

    Parameters
    ----------
    options : argparse.Namespace
    name : str
        Of the experiment.
    defaults : Defaults
        What `options` do not say.
    trainings_per_seed : int
    measure : callable
        ``measure(config, images, trainings)`` returns what is known so far.
    title : callable, default=title_of
        Gives the first line that is printed.
    **settings
        Of all trainings.
    """
    output = Output(options, name)
    chosen = range(options.seed, options.seed + (options.seeds or defaults.seeds))
    with output, ShortTrainings(trainings_per_seed * len(chosen)) as trainings:
        for seed in chosen:
            config = defaults.config(options, seed, **settings)
            images = _load_enough(config)
            output.title = title(config, images)
            output.keep(measure(config, images, trainings))
    return output.status


def _load_enough(config: Config) -> Images:
    """Load the images of a training; says what to change if they would not fill a batch."""
    least = _fewest_images(config)
    needed = (
        f"expected at least {least} training images, {config.batch_size} for a batch and "
        f"{least - config.batch_size} to hold back for validation, got"
    )
    if config.limit is not None and config.limit < least:
        raise UsageError(f"--limit: {needed} {config.limit}")
    try:
        facts = (images := load_images(config, INPUT_SIZE[config.model])).facts
    except UsageError:  # of a single image none can be held back
        raise UsageError(f"--data-dir: {needed} fewer") from None
    if (found := facts.train_images + facts.val_images) < least:
        raise UsageError(f"--data-dir: {needed} {found}")
    return images


def _fewest_images(config: Config) -> int:
    """Return of how many images a batch is left after some are held back for validation."""
    return next(
        images
        for images in itertools.count(config.batch_size + 1)
        if images - number_held_back(images, config.val_fraction) >= config.batch_size
    )
