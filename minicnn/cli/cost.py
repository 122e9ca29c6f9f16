"""`minicnn cost`: what a design costs against what it replaces."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from minicnn.cli.users_network import default_input
from minicnn.cli.values import positive_whole_number
from minicnn.nn import Module

EXAMPLES = """\
examples:
  minicnn cost                                      all worked cases of the lectures, and what they misprint
  minicnn cost conv --size 28 --channels 192 --filters 32 --kernel 5 --reduce 16
  minicnn cost module --size 28 --channels 256 --filters 128 192 96 --reduce 64 64 --projection 64
  minicnn cost pooling --size 7 --channels 1024 --outputs 1024
  minicnn cost classifier --size 7 --channels 1024 --classes 1000
  minicnn cost stack --kernel 7                     three 3x3 convolutions instead of one 7x7
  minicnn cost networks                             GoogLeNet against AlexNet and VGG-16
"""

Flag = tuple[str, int | list[int] | None, str]


def add_cost_flags(parser: argparse.ArgumentParser) -> None:
    """Add the questions of `minicnn cost`, each with its flags."""
    parser.set_defaults(command=cost_command, answer=_everything)
    questions = parser.add_subparsers(title="questions", metavar="QUESTION")

    def add(name: str, help: str, answer: Callable[[argparse.Namespace], str], *flags: Flag) -> None:
        question = questions.add_parser(
            name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False
        )
        question.set_defaults(answer=answer)
        for flag, default, meaning in flags:
            count = len(default) if isinstance(default, list) else None
            shown = " ".join(map(str, default)) if isinstance(default, list) else default
            question.add_argument(
                flag, metavar="N", type=positive_whole_number, nargs=count, default=default,
                help=f"{meaning} (default: {'none' if default is None else shown})",
            )  # fmt: skip

    size = "height and width of the image"
    channels = "channels of the image"
    add(
        "conv", "a convolution with and without a 1x1 reduction", _convolution,
        ("--size", 28, size), ("--channels", 192, channels), ("--filters", 32, "number of filters"),
        ("--kernel", 5, "height and width of the filters"),
        ("--reduce", None, "channels that the 1x1 convolution before it leaves"),
    )  # fmt: skip
    add(
        "module", "the naive inception module against the one with reductions", _module,
        ("--size", 28, size), ("--channels", 256, channels),
        ("--filters", [128, 192, 96], "filters of the 1x1, 3x3 and 5x5 convolution"),
        ("--reduce", [64, 64], "channels before the 3x3 and the 5x5 convolution"),
        ("--projection", 64, "channels of the pooling branch"),
    )  # fmt: skip
    add(
        "pooling", "a fully connected layer on an image against its average", _pooling,
        ("--size", 7, size), ("--channels", 1024, channels), ("--outputs", 1024, "units of the layer"),
    )  # fmt: skip
    add(
        "classifier", "a classifier on a flattened image against one on its average", _classifier,
        ("--size", 7, size), ("--channels", 1024, channels), ("--classes", 1000, "number of classes"),
    )  # fmt: skip
    add(
        "stack", "a large convolution against stacked 3x3 ones that see as much", _stack,
        ("--size", 28, size), ("--channels", 64, channels), ("--kernel", 5, "size of the large one"),
    )  # fmt: skip
    add("networks", "GoogLeNet against AlexNet and VGG-16", _networks)


def cost_command(options: argparse.Namespace) -> int:
    """Print the answer to a question, or to all that lectures ask; returns the exit status."""
    print(options.answer(options))
    return 0


def _everything(options: argparse.Namespace) -> str:
    from minicnn import study

    return "\n\n".join([*map(str, study.lecture_cases()), _networks(options)])


def _convolution(options: argparse.Namespace) -> str:
    from minicnn import study

    o = options
    return str(study.convolution_cost(o.size, o.channels, o.filters, o.kernel, o.reduce))


def _module(options: argparse.Namespace) -> str:
    from minicnn import study

    o = options
    return str(study.module_cost(o.size, o.channels, tuple(o.filters), tuple(o.reduce), o.projection))


def _pooling(options: argparse.Namespace) -> str:
    from minicnn import study

    return str(study.pooling_cost(options.size, options.channels, options.outputs))


def _classifier(options: argparse.Namespace) -> str:
    from minicnn import study

    return str(study.classifier_cost(options.size, options.channels, options.classes))


def _stack(options: argparse.Namespace) -> str:
    from minicnn import study

    return str(study.stack_cost(options.size, options.channels, options.kernel))


def _networks(options: argparse.Namespace) -> str:
    from minicnn import models, study

    networks: dict[str, Module] = {
        "GoogLeNet": models.googlenet(aux=False),
        "AlexNet": models.alexnet(blank=True),
        "VGG-16": models.vgg16(blank=True),
    }
    return study.compare_networks(
        {name: study.summarize(net, (1, *default_input(net, None))) for name, net in networks.items()}
    )
