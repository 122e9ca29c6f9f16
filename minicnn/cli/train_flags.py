"""The flags of `minicnn train`, in groups, with their defaults.

A flag that is not given leaves no trace in the parsed options (argparse.SUPPRESS): what was asked for and
what a recipe says stay apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from minicnn.cli.values import model_name, number, positive_number, positive_whole_number, whole_number
from minicnn.cuda.products import PRECISIONS
from minicnn.training.config import ACTIVATIONS, DATA, INITIALISATIONS, MODELS, Config, flag
from minicnn.training.keeper import MINUTES
from minicnn.training.recipes import DEFAULTS, RECIPES, SCHEDULES, Recipe

WATCH_EVERY = 20  # a recording takes as long as two to three steps


def add_train_flags(parser: argparse.ArgumentParser) -> None:
    """Add all flags; those that set a field of `Config` have its name."""
    run = parser.add_argument_group("the run")
    run.add_argument(
        "--out", metavar="DIR", default=argparse.SUPPRESS,
        help="folder for the results; must not hold a run yet (default: a new one under runs/)",
    )  # fmt: skip
    run.add_argument(
        "--resume", metavar="DIR", default=argparse.SUPPRESS,
        help="continue the run in DIR after its last checkpoint, to the same result as if it had never "
        "stopped; all settings come from there, only --threads and the source of the data may change",
    )  # fmt: skip
    run.add_argument(
        "--checkpoint-minutes", metavar="M", type=positive_number, default=argparse.SUPPRESS,
        help="write a checkpoint not only after every epoch, but whenever M minutes have passed since the "
        f"last: what a crash may cost at most (default: {MINUTES:g})",
    )  # fmt: skip
    run.add_argument(
        "--overfit-one-batch", action="store_true", default=argparse.SUPPRESS,
        help="do not train, but see whether the network can learn one batch by heart; writes nothing "
        "(of 32 images, at a rate of 0.001, unless --batch-size and --lr are given)",
    )  # fmt: skip
    run.add_argument(
        "--profile", action="store_true", default=argparse.SUPPRESS,
        help="measure five steps after two to warm up, then train on as usual: print time and memory per op, "
        "and write profile.txt (tables) and profile.json (a trace for Perfetto or chrome://tracing) into the "
        "folder of the run; the trained network is the same",
    )  # fmt: skip
    run.add_argument(
        "--watch-gradients", metavar="EVERY", type=positive_whole_number, nargs="?", const=WATCH_EVERY,
        default=argparse.SUPPRESS,
        help=f"every so many steps ({WATCH_EVERY} if not said), record how large each layer's gradient is "
        "and which head it comes from: gradients.jsonl and a heat map, gradients.png; the trained network is "
        "the same; on the CPU only",
    )  # fmt: skip
    _add(
        run,
        "seed",
        whole_number,
        "N",
        "decides initial weights, validation split, order, augmentation and dropout",
    )
    _add(
        run,
        "threads",
        whole_number,
        "N",
        "threads; results do not depend on it",
        "the cores this process may use",
    )
    _add(
        run,
        "device",
        str,
        "DEVICE",
        "where to compute: cpu, cuda, or cuda:N for GPU number N (see minicnn doctor)",
    )
    _add(
        run,
        "matmul_precision",
        str,
        None,
        "matrix products on a GPU: highest computes in float32, high in TF32, which is faster and less exact",
        choices=PRECISIONS,
    )

    data = parser.add_argument_group("data")
    _add(
        data,
        "data",
        str,
        None,
        "embedded shapes, CIFAR-10, or a folder with one subfolder of images a class",
        choices=DATA,
    )
    _add(data, "data_dir", str, "DIR", "where the images are", "cifar10 is downloaded; shapes need none")
    _add(data, "data_url", str, "URL", "where CIFAR-10's binary archive is downloaded from, e.g. a mirror")
    _add(data, "data_md5", str, "MD5", "checksum that the downloaded archive must have")
    _add(data, "limit", whole_number, "N", "use only the first N training images", "all")
    _add(data, "val_fraction", number, "F", "share of the training images held back for validation")
    _add(data, "augment", None, None, "crop training images at random and mirror them")

    network = parser.add_argument_group("network")
    _add(
        network,
        "model",
        model_name,
        None,
        "which one; googlenet is the published one, for 224x224",
        choices=MODELS,
    )
    _add(network, "width", number, "W", "scale of googlenet-cifar's channel counts")
    _add(network, "aux", None, None, "auxiliary heads")
    _add(network, "activation", str, None, "non-linearity", choices=ACTIVATIONS)
    _add(
        network,
        "initialisation",
        str,
        None,
        "how weights start; zero never learns, see for yourself",
        choices=INITIALISATIONS,
    )

    recipe = parser.add_argument_group(
        "recipe",
        "Where the training settings come from that are not given: the paper, Caffe, a blog post, or\n"
        "what was found to work here. The defaults below are --recipe default's for googlenet-cifar.",
    )
    _add(recipe, "recipe", str, None, "which one", choices=RECIPES)
    _add(recipe, "epochs", whole_number, "N", "how often to see every image")
    _add(recipe, "batch_size", whole_number, "B", "images in a step")
    _add(recipe, "lr", number, "LR", "learning rate, at its highest")
    _add(recipe, "momentum", number, "M", "share of the velocity kept from step to step")
    _add(recipe, "nesterov", None, None, "Nesterov's momentum")
    _add(recipe, "weight_decay", number, "D", "pull of the weights towards zero; biases have none")
    _add(recipe, "clip_norm", number, "N", "largest norm of all gradients together; 0: no limit")
    _add(recipe, "bias_lr_factor", number, "F", "rate of the biases relative to that of the weights")
    _add(recipe, "aux_weight", number, "W", "weight of each auxiliary head's loss")
    _add(
        recipe,
        "average_epochs",
        number,
        "N",
        "validate and finish with weights averaged over about N epochs; 0: do not",
    )

    schedule = parser.add_argument_group("learning rate over time")
    _add(schedule, "schedule", str, None, "how the rate changes", choices=SCHEDULES)
    _add(schedule, "warm_up", number, "F", "one-cycle: share of the run in which the rate rises")
    _add(schedule, "poly_power", number, "P", "poly: exponent")
    _add(schedule, "step_epochs", whole_number, "N", "step: multiply the rate every N epochs")
    _add(schedule, "step_factor", number, "F", "step: by this factor")
    _add(
        schedule,
        "patience",
        whole_number,
        "N",
        "plateau: divide the rate by ten after N epochs without improvement",
    )


def _add(
    group: Any,
    name: str,
    read: Callable[[str], Any] | None,
    metavar: str | None,
    text: str,
    default: str | None = None,
    choices: tuple[str, ...] | None = None,
) -> None:
    """Add the flag of one setting; `read=None` makes a pair --name, --no-name."""
    text = f"{text} (default: {default or default_of(name)})".replace("%", "%%")
    if read is None:
        action = argparse.BooleanOptionalAction
        group.add_argument(flag(name), dest=name, action=action, default=argparse.SUPPRESS, help=text)
    else:
        group.add_argument(
            flag(name),
            dest=name,
            type=read,
            metavar=metavar,
            choices=choices,
            default=argparse.SUPPRESS,
            help=text,
        )


def default_of(name: str) -> str:
    """Say what a setting is without a flag.

    Examples
    --------
    >>> default_of("momentum"), default_of("seed"), default_of("nesterov")
    ('0.9', '0', 'on')
    """
    of_recipe = {field.name for field in fields(Recipe)}
    if name not in of_recipe:
        value = next(field.default for field in fields(Config) if field.name == name)
        return _in_words(value)
    by_data = {data: _in_words(getattr(DEFAULTS["googlenet-cifar", data], name)) for data in DATA}
    if len(set(by_data.values())) == 1:
        return by_data["shapes"]
    return ", ".join(f"{value} on {data}" for data, value in by_data.items())


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
