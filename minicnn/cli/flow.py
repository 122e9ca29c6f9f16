"""`minicnn flow`: how large the gradient of each layer is, and which head it comes from."""

from __future__ import annotations

import argparse
import json

from minicnn.cli.checks import check_output_file, is_untrained_model
from minicnn.cli.experiment.injection import injection_command
from minicnn.cli.images_of_run import load_images_of_run
from minicnn.cli.measured_batch import choose_batch, seed_dropouts
from minicnn.cli.networks import INPUT_SIZE, build_network, load_network
from minicnn.cli.train import resolve_config
from minicnn.cli.values import (
    model_name,
    positive_number,
    positive_whole_number,
    whole_number,
)
from minicnn.errors import UsageError
from minicnn.nn import Module
from minicnn.parallel import set_num_threads
from minicnn.training import Config, Images, describe, load_images
from minicnn.training.config import ACTIVATIONS, DATA, MODELS

FORMATS = ("table", "markdown", "csv", "json")
EXPERIMENTS = ("injection",)

# Enough for steady figures, and small enough for the memory of a laptop.
BATCH_SIZE = {"googlenet-cifar": 64, "googlenet": 8}


def add_flow_flags(parser: argparse.ArgumentParser) -> None:
    """Add all flags of the command."""
    parser.add_argument(
        "what", metavar="RUN|MODEL", nargs="?", default="googlenet-cifar",
        help="a checkpoint or the folder of a run; or a network at initialisation, "
        f"{' or '.join(MODELS)} (default: googlenet-cifar)",
    )  # fmt: skip
    parser.add_argument("--data", choices=DATA, help="data set (default: the run's; shapes for a MODEL)")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the data (default: the run's)")
    parser.add_argument(
        "--index", metavar="N", type=whole_number,
        help="begin with test image N, from 0 (default: training images drawn at random, as in training)",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", metavar="B", type=positive_whole_number,
        help="images (default: 64; 8 for googlenet)",
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
        help="decides a MODEL's weights, the dropouts and the batch (default: 0)",
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
    from minicnn import study

    if options.threads is not None:
        set_num_threads(options.threads)
    if options.png is not None:
        check_output_file("--png", options.png, ".png")
    if options.experiment is not None:
        return _injection(options)
    for name in ("epochs", "seeds", "force"):
        if getattr(options, name):
            raise UsageError(f"--{name} belongs to --experiment")

    network, config, images, title = _network_and_images(options)
    batch_size = options.batch_size or BATCH_SIZE[config.model]
    x, labels = choose_batch(images, batch_size, INPUT_SIZE[config.model], options.seed, options.index)
    seed_dropouts(network, options.seed)
    flow = study.gradient_flow(network, x, labels, config.aux_weight)
    shown = flow if options.layers is None else flow.only(options.layers)
    if options.format == "json":
        print(json.dumps(shown.to_json(), indent=1))
    elif options.format == "csv":
        print(shown.as_csv())
    elif options.format == "markdown":
        print(shown.as_markdown())
    else:
        print(f"{title}\n{shown}")
    if options.png is not None:
        flow.draw(options.png, title)
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


def _network_and_images(options: argparse.Namespace) -> tuple[Module, Config, Images, str]:
    """Find the network, its settings, the images and a title."""
    if is_untrained_model(options.what):
        name = model_name(options.what)
        asked = {
            key: getattr(options, key)
            for key in ("data", "data_dir", "width", "activation", "seed")
            if getattr(options, key) is not None
        }
        config = resolve_config({"model": name, "width": 1.0, **asked})
        images = load_images(config, INPUT_SIZE[name])
        title = f"{describe(config)}, {config.activation}, at initialisation"
        return build_network(config, len(images.facts.class_names)), config, images, title

    for flag in ("width", "activation"):
        if getattr(options, flag) is not None:
            raise UsageError(f"--{flag}: {options.what} has its own; it can only be chosen for a MODEL")
    network, checkpoint, _ = load_network(options.what)
    config, images = load_images_of_run(checkpoint, options.data, options.data_dir)
    return network, config, images, f"{describe(config)}, after {checkpoint.place} of training"
