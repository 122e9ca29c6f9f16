"""`minicnn flow`: how large the gradient of each layer is, and which head it comes from."""

from __future__ import annotations

import argparse
import json
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from minicnn import study
from minicnn.cli.checks import check_output_file, is_untrained_model
from minicnn.cli.experiment.injection import injection_command
from minicnn.cli.images_of_run import load_images_of_run
from minicnn.cli.measured_batch import choose_batch, seed_dropouts
from minicnn.cli.networks import INPUT_SIZE, build_network, load_network
from minicnn.cli.train import resolve_config
from minicnn.cli.users_network import is_users_network, make_image_network, run_users_network, users_code
from minicnn.cli.values import (
    model_name,
    positive_number,
    positive_whole_number,
    whole_number,
)
from minicnn.errors import UsageError
from minicnn.nn import Module
from minicnn.parallel import set_num_threads
from minicnn.study.flow import GradientFlow
from minicnn.tensor import Tensor, no_grad
from minicnn.training import Images, describe, load_images
from minicnn.training.config import ACTIVATIONS, DATA, MODELS

FORMATS = ("table", "markdown", "csv", "json")
EXPERIMENTS = ("injection",)

# Enough images for steady figures, and few enough for the memory of a laptop.
BATCH, SMALL_BATCH = 64, 8
LARGE_IMAGE = 64  # pixels; beyond this, a batch is small


class Subject(NamedTuple):
    """A network with images to measure it on.

    Attributes
    ----------
    size : int
        Height and width of the images that it takes.
    """

    network: Module
    images: Images
    size: int
    aux_weight: float
    title: str


def add_flow_flags(parser: argparse.ArgumentParser) -> None:
    """Add all flags of the command."""
    parser.add_argument(
        "what", metavar="RUN|MODEL", nargs="?", default="googlenet-cifar",
        help="a checkpoint or the folder of a run; or a network at initialisation: "
        f"{', '.join(MODELS)}, file.py:factory or package.module:factory (default: googlenet-cifar)",
    )  # fmt: skip
    parser.add_argument("--data", choices=DATA, help="data set (default: the run's; shapes for a MODEL)")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the data (default: the run's)")
    parser.add_argument(
        "--index", metavar="N", type=whole_number,
        help="begin with test image N, from 0 (default: training images drawn at random, as in training)",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", metavar="B", type=positive_whole_number,
        help="images (default: 64; 8 if they are larger than 64 pixels)",
    )  # fmt: skip
    parser.add_argument(
        "--width", metavar="W", type=positive_number,
        help="of a MODEL: scale of googlenet-cifar's channel counts (default: 1; 0.125 in an experiment)",
    )  # fmt: skip
    parser.add_argument(
        "--activation", choices=ACTIVATIONS,
        help="of a MODEL: non-linearity (default: relu); in an experiment: what ReLU is compared with "
        "(default: sigmoid)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", metavar="N", type=whole_number, default=0,
        help="decides the weights of a network of ours, the dropouts and the batch (default: 0)",
    )  # fmt: skip
    parser.add_argument("--format", choices=FORMATS, default="table", help="what is printed (default: table)")
    parser.add_argument("--png", metavar="FILE", help="draw a picture into this .png file, too")
    parser.add_argument(
        "--layers", metavar="PATTERN",
        help="print only these layers: inception4a, '*.conv3x3', 'aux?.fc1'",
    )  # fmt: skip
    parser.add_argument(
        "--experiment", choices=EXPERIMENTS,
        help="injection: do the heads bring gradient to where it has vanished? Networks with and without "
        "heads, with ReLU and with a saturating activation, before and after a short training; prints a "
        "table, and writes injection.png and injection.json (another name: --png)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", metavar="N", type=positive_whole_number,
        help="of an experiment: how long each network is trained (default: 4)",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", metavar="N", type=positive_whole_number,
        help="of an experiment: how often everything is repeated (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--force", action="store_true",
        help="of an experiment: replace picture and numbers that are there already",
    )  # fmt: skip
    parser.add_argument(
        "--threads", metavar="N", type=positive_whole_number,
        help="threads to use; results do not depend on it (default: the cores this process may use)",
    )  # fmt: skip


def flow_command(options: argparse.Namespace) -> int:
    """Print the gradient of each layer, or do an experiment; returns the exit status."""
    if options.threads is not None:
        set_num_threads(options.threads)
    if options.png is not None:
        check_output_file("--png", options.png, ".png")
    if options.experiment is not None:
        return _injection(options)
    for name in ("epochs", "seeds", "force"):
        if getattr(options, name):
            raise UsageError(f"--{name} belongs to --experiment")

    subject = _subject(options)
    flow = _measured(subject, options)
    shown = flow if options.layers is None else flow.only(options.layers)
    if options.format == "json":
        print(json.dumps(shown.to_json(), indent=1))
    elif options.format == "csv":
        print(shown.as_csv())
    elif options.format == "markdown":
        print(shown.as_markdown())
    else:
        print(f"{subject.title}\n{shown}")
    if options.png is not None:
        flow.draw(options.png, subject.title)
    return 0


def _injection(options: argparse.Namespace) -> int:
    """Do what `minicnn experiment injection` does."""
    if options.what not in ("googlenet-cifar", "googlenet_cifar"):
        raise UsageError(f"--experiment trains {MODELS[0]} networks of its own; it takes no {options.what}")
    for name in ("index", "batch_size", "layers"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} does not go together with --experiment")
    if options.format not in ("table", "json"):
        raise UsageError(f"--format: an experiment prints a table or json, got {options.format}")
    options.limit = None
    return injection_command(options)


def _subject(options: argparse.Namespace) -> Subject:
    """Find the network and its images."""
    chosen = {
        key: getattr(options, key)
        for key in ("data", "data_dir", "width", "activation", "seed")
        if getattr(options, key) is not None
    }
    if not is_users_network(options.what) and is_untrained_model(options.what):
        name = model_name(options.what)
        config = resolve_config({"model": name, "width": 1.0, **chosen})
        images = load_images(config, INPUT_SIZE[name])
        network = build_network(config, len(images.facts.class_names))
        title = f"{describe(config)}, {config.activation}, at initialisation"
        return Subject(network, images, INPUT_SIZE[name], config.aux_weight, title)

    for flag in ("width", "activation"):
        if flag in chosen:
            raise UsageError(f"--{flag}: {options.what} has its own; it can only be chosen for a MODEL")
    if is_users_network(options.what):
        network, size = make_image_network(options.what)
        config = resolve_config(chosen)
        title = f"{options.what} on {config.data}, as it is made"
        return Subject(network, load_images(config, size), size, config.aux_weight, title)
    network, checkpoint, _ = load_network(options.what)
    config, images = load_images_of_run(checkpoint, options.data, options.data_dir)
    title = f"{describe(config)}, after {checkpoint.place} of training"
    return Subject(network, images, INPUT_SIZE[config.model], config.aux_weight, title)


def _measured(subject: Subject, options: argparse.Namespace) -> GradientFlow:
    """Run the network on a batch, forward and backward."""
    batch_size = options.batch_size or (SMALL_BATCH if subject.size > LARGE_IMAGE else BATCH)
    x, labels = choose_batch(subject.images, batch_size, subject.size, options.seed, options.index)
    network = subject.network
    guard: AbstractContextManager[None] = nullcontext()
    if is_users_network(options.what):
        with no_grad():  # on one image, to see whether it fits
            run_users_network(options.what, network, Tensor(x[:1]), len(subject.images.facts.class_names))
        guard = users_code(f"{options.what}: running it")
    seed_dropouts(network, options.seed)
    with guard:
        return study.gradient_flow(network, x, labels, subject.aux_weight)
