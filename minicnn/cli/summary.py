"""`minicnn summary`: a network as a table, and GoogLeNet against its paper."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from minicnn.cli.network_sources import named_networks, network_source, sizes
from minicnn.cli.users_network import default_input, users_code
from minicnn.cli.values import positive_number, positive_whole_number
from minicnn.errors import ShapeError, UsageError
from minicnn.nn import Module

if TYPE_CHECKING:
    from minicnn.study import Summary

BYTES_OF_A_NUMBER = 4

EXAMPLES = """\
examples:
  minicnn summary googlenet                         in the columns of the paper's table 1
  minicnn summary googlenet --details               every layer, with the memory it needs
  minicnn summary googlenet --compare paper         which entries of the table are right, and why not
  minicnn summary googlenet-cifar --width 0.25 --input-size 48
  minicnn summary googlenet-cifar --details --format csv --batch-size 32
  minicnn summary my_networks.py:small_network      a Module, or a function or class that makes one
  minicnn summary package.module:factory --input-shape 28x28x1

Columns: "depth" is the number of layers with weights on the longest path; "sees px" is what an output sees of
the image, branch by branch in a module. Memory is in KiB: of all outputs of a line ("out"), of the columns
that im2col would write for its largest convolution at once ("cols"), and of those that one thread writes at
a time ("tile").
"""


def add_summary_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `minicnn summary`."""
    parser.add_argument(
        "model", metavar="MODEL", type=network_source,
        help=f"{', '.join(named_networks())}, package.module:factory or file.py:factory",
    )  # fmt: skip
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--input-size", metavar="H", type=positive_whole_number,
        help="height and width of the image (default: the network's own, else 224)",
    )  # fmt: skip
    size.add_argument(
        "--input-shape", metavar="HxWxC", type=sizes,
        help="what the network takes, if not colour images: 28x28x1, or 784 for vectors",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", metavar="N", type=positive_whole_number, default=1,
        help="images that the memory is for; the other numbers are for one (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--width", metavar="W", type=positive_number,
        help="scale of googlenet-cifar's channel counts (default: 1)",
    )  # fmt: skip
    parser.add_argument("--details", action="store_true", help="every layer instead of every stage")
    parser.add_argument(
        "--format", choices=("table", "markdown", "csv", "json"), default="table",
        help="how to write it; csv and json have all columns (default: table)",
    )  # fmt: skip
    parser.add_argument(
        "--compare", choices=("paper",), help="hold googlenet against its paper's table 1, entry by entry"
    )


def summary_command(options: argparse.Namespace) -> int:
    """Print a network stage by stage; returns the exit status."""
    from minicnn import study

    if options.width is not None and options.model.name != "googlenet-cifar":
        raise UsageError(
            f"--width: only googlenet-cifar can be scaled; {options.model.name} is "
            f"{'as published' if options.model.is_named else 'your own'}"
        )
    if options.compare and options.details:
        raise UsageError("--details: does not go together with --compare")
    network = options.model.make(options.width)
    shape = options.input_shape or default_input(network, options.input_size)
    summary = _summarize(network, shape, options)
    if options.compare:
        certificate = study.compare_with_paper(summary)
        print({
            "table": certificate.__str__,
            "markdown": certificate.to_markdown,
            "csv": certificate.to_csv,
            "json": certificate.to_json,
        }[options.format]())  # fmt: skip
    elif options.format == "json":
        print(summary.to_json())
    else:
        write = {"table": summary.table, "markdown": summary.to_markdown, "csv": summary.to_csv}
        print(write[options.format](options.details))
    return 0


def _summarize(network: Module, shape: tuple[int, ...], options: argparse.Namespace) -> Summary:
    """Summarize; what goes wrong in a network of the user's becomes one line."""
    from minicnn import study

    name, size = options.model.name, "x".join(map(str, shape))
    if math.prod(shape) * options.batch_size * BYTES_OF_A_NUMBER > sys.maxsize:
        raise UsageError(f"{options.batch_size} inputs of {size} are more than any memory can hold")
    with nullcontext() if options.model.is_named else users_code(f"{name}: its forward"):
        try:
            summary = study.summarize(network, (options.batch_size, *shape))
        except ShapeError as error:
            if options.input_shape or options.model.is_named:
                raise
            raise UsageError(f"{error}; the input was {size}, --input-shape takes another") from None
    if not summary.rows:
        raise UsageError(f"{name}: its forward ran no op of minicnn: there is nothing to list")
    return summary
