"""`minicnn experiment`: statements of lectures, tried out, with a picture, a table and a verdict."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from minicnn.cli.experiment import injection, plateau, scale, ways
from minicnn.cli.experiment.heads import heads_command
from minicnn.cli.experiment.pooling import pooling_command
from minicnn.cli.experiment.repetition import Defaults
from minicnn.cli.values import positive_number, positive_whole_number, whole_number
from minicnn.parallel import set_num_threads
from minicnn.training.config import DATA

EXAMPLES = """\
examples:
  minicnn experiment heads            five seeds
  minicnn experiment heads --data cifar10 --data-dir DIR --limit 10000 --seeds 3
  minicnn experiment scale --seeds 2 --png filters.png
  minicnn experiment plateau          the table shows every epoch
  minicnn experiment heads --help     what is compared with what

Times are rough, on two cores; half as many --seeds take half as long.
"""

HEADS = """\
Trains the same network three times for each seed: with the auxiliary heads; without them; and without them,
but with learning rates of single layers raised as much as the heads raise their gradients. Compares the
accuracy of every head on images not trained on.
"""
POOLING = """\
Trains the same network twice for each seed: with its classifier on the average of each channel, as published,
and with a classifier on all places of the last module, which has 16 times as many weights. Compares their
accuracy on images not trained on.
"""
SCALE = """\
Asks whether an inception module picks its filter size by the size of the object. Trains networks on the
embedded shapes, whose sizes are known, and measures what each branch contributes to the score of the right
class, by gradient times activation and by silencing it, for small shapes and for large ones.
"""
PLATEAU = """\
Trains the same network twice for each seed: at a constant rate, and at one that is divided by ten after every
epoch that brought no better validation loss. Compares their accuracy epoch by epoch.
"""
INJECTION = """\
Asks whether the heads bring gradient to where it has vanished: networks with heads and without, with ReLU and
with a saturating activation, before and after a short training. (The same as minicnn flow --experiment
injection.)
"""


def add_experiment_flags(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each experiment."""
    experiments = parser.add_subparsers(title="experiments", metavar="NAME", required=True)

    def add(
        name: str,
        summary: str,
        minutes: int,
        description: str,
        command: Callable[[argparse.Namespace], int],
        defaults: Defaults,
    ) -> argparse.ArgumentParser:
        experiment = experiments.add_parser(
            name, help=f"{summary} (about {minutes} minutes)", allow_abbrev=False,
            description=f"{description}\nWithout other flags it takes about {minutes} minutes on two cores.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        _add_common_flags(experiment, name, defaults)
        experiment.set_defaults(command=lambda options: _run(command, options), data=None, data_dir=None)
        return experiment

    heads = add(
        "heads", "do auxiliary heads help a network to learn?", 14, HEADS, heads_command, ways.DEFAULTS
    )  # fmt: skip
    pooling = add(
        "pooling", "is a classifier on averages more accurate?", 8, POOLING, pooling_command, ways.DEFAULTS
    )  # fmt: skip
    dividing = add(
        "plateau", "does it help to divide the learning rate when validation stops improving?", 15,
        PLATEAU, plateau.plateau_command, plateau.DEFAULTS,
    )  # fmt: skip
    add("scale", "do larger objects use larger filters?", 10, SCALE, scale.scale_command, scale.DEFAULTS)
    vanishing = add(
        "injection", "do the heads bring gradient to where it has vanished?", 4,
        INJECTION, injection.injection_command, injection.DEFAULTS,
    )  # fmt: skip
    vanishing.add_argument(
        "--activation", choices=("sigmoid", "tanh"), help="what ReLU is compared with (default: sigmoid)"
    )
    for experiment in (heads, pooling, dividing, vanishing):
        experiment.add_argument("--data", choices=DATA, help="data set (default: shapes)")
        experiment.add_argument("--data-dir", metavar="DIR", help="folder of the data")


def _add_common_flags(parser: argparse.ArgumentParser, name: str, defaults: Defaults) -> None:
    parser.add_argument(
        "--seeds", metavar="N", type=positive_whole_number,
        help=f"how often everything is repeated (default: {defaults.seeds})",
    )  # fmt: skip
    parser.add_argument(
        "--seed", metavar="N", type=whole_number, default=0, help="the first of the seeds (default: 0)"
    )
    parser.add_argument(
        "--epochs", metavar="N", type=positive_whole_number,
        help=f"how long each network is trained (default: {defaults.epochs})",
    )  # fmt: skip
    parser.add_argument(
        "--limit", metavar="N", type=positive_whole_number,
        help="use the first N training images, of which some are held back for validation "
        f"(default: {defaults.images:,})",
    )  # fmt: skip
    parser.add_argument(
        "--width", metavar="W", type=positive_number,
        help=f"scale of googlenet-cifar's channel counts (default: {defaults.width})",
    )  # fmt: skip
    parser.add_argument(
        "--threads", metavar="N", type=positive_whole_number,
        help="threads to use; results do not depend on it (default: the cores this process may use)",
    )  # fmt: skip
    parser.add_argument(
        "--png", metavar="FILE",
        help=f"the picture; the numbers go into a .json file beside it (default: {name}.png)",
    )  # fmt: skip
    parser.add_argument(
        "--force", action="store_true", help="replace picture and numbers that are there already"
    )
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="what is printed (default: table)"
    )


def _run(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    if options.threads is not None:
        set_num_threads(options.threads)
    return command(options)
