"""`minicnn experiment`: statements of lectures, tried out, with a picture, a table and a verdict."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from minicnn.cli.checks import check_output_file
from minicnn.cli.experiment.heads import heads_command
from minicnn.cli.experiment.injection import injection_command
from minicnn.cli.experiment.pooling import pooling_command
from minicnn.cli.experiment.scale import scale_command
from minicnn.cli.values import positive_number, positive_whole_number, whole_number
from minicnn.parallel import set_num_threads
from minicnn.training.config import DATA

EXAMPLES = """\
examples:
  minicnn experiment heads            five seeds; some minutes on two cores
  minicnn experiment heads --data cifar10 --data-dir DIR --limit 10000 --seeds 3
  minicnn experiment scale --seeds 2 --png filters.png
  minicnn experiment heads --help     what is compared with what
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
        description: str,
        command: Callable[[argparse.Namespace], int],
        defaults: dict[str, str],
    ) -> argparse.ArgumentParser:
        experiment = experiments.add_parser(
            name, help=summary, description=description, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        _add_common_flags(experiment, name, **defaults)
        experiment.set_defaults(command=lambda options: _run(command, options))
        return experiment

    heads = add(
        "heads", "do auxiliary heads help a network to learn?", HEADS, heads_command,
        {"seeds": "5", "epochs": "4", "limit": "5,000"},
    )  # fmt: skip
    _add_data_flags(heads)
    pooling = add(
        "pooling", "is a classifier on averages more accurate?", POOLING, pooling_command,
        {"seeds": "5", "epochs": "4", "limit": "5,000"},
    )  # fmt: skip
    _add_data_flags(pooling)
    add(
        "scale", "do larger objects use larger filters?", SCALE, scale_command,
        {"seeds": "5", "epochs": "4", "limit": "8,000"},
    )  # fmt: skip
    injection = add(
        "injection", "do the heads bring gradient to where it has vanished?", INJECTION, injection_command,
        {"seeds": "2", "epochs": "4", "limit": "2,000"},
    )  # fmt: skip
    _add_data_flags(injection)
    injection.add_argument(
        "--activation", choices=("sigmoid", "tanh"), help="what ReLU is compared with (default: sigmoid)"
    )


def _add_common_flags(
    parser: argparse.ArgumentParser, name: str, seeds: str, epochs: str, limit: str
) -> None:
    parser.add_argument(
        "--seeds", metavar="N", type=positive_whole_number,
        help=f"how often everything is repeated (default: {seeds})",
    )  # fmt: skip
    parser.add_argument(
        "--seed", metavar="N", type=whole_number, default=0, help="the first of the seeds (default: 0)"
    )
    parser.add_argument(
        "--epochs", metavar="N", type=positive_whole_number,
        help=f"how long each network is trained (default: {epochs})",
    )  # fmt: skip
    parser.add_argument(
        "--limit", metavar="N", type=positive_whole_number,
        help=f"use the first N training images (default: {limit})",
    )  # fmt: skip
    parser.add_argument(
        "--width", metavar="W", type=positive_number,
        help="scale of googlenet-cifar's channel counts (default: 0.125)",
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
        "--format", choices=("table", "json"), default="table", help="what is printed (default: table)"
    )


def _add_data_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", choices=DATA, help="data set (default: shapes)")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the data")


def _run(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    if options.threads is not None:
        set_num_threads(options.threads)
    if options.png is not None:
        check_output_file("--png", options.png, ".png")
    return command(options)
