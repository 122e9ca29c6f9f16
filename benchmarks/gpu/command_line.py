"""What can be typed after `python -m benchmarks.gpu`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command_line import OUTPUT, OneLineParser, run
from benchmarks.errors import BenchmarkError
from benchmarks.gpu.check import PARTS, check, in_process_of_its_own, write
from benchmarks.gpu.report import Record, as_markdown, verdicts
from minicnn.cli.values import positive_number, positive_whole_number

EXAMPLES = """\
examples:
  python -m benchmarks.gpu check                             all of it, nine minutes at most
  python -m benchmarks.gpu check --parts speed kernels
  python -m benchmarks.gpu check --toy                       everything on toy sizes: does it run?
  python -m benchmarks.gpu accuracy --seed 1                 one training run on CIFAR-10, six minutes at most
  python -m benchmarks.gpu show benchmarks/output/gpu/check.json
  python -m benchmarks.gpu show benchmarks/output/gpu/accuracy-*.json
  python -m benchmarks.gpu reckon                            what an H200 should take; needs no GPU
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `python -m benchmarks.gpu`."""
    return run(build_parser(), arguments)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; the parsed options have the function to call as `command`."""
    parser = OneLineParser(
        prog="python -m benchmarks.gpu", description="Test and measure minicnn on a GPU.", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    checks = commands.add_parser("check", help="all tests and measurements but accuracy, with a report")
    checks.add_argument(
        "--parts", metavar="PART", nargs="+", choices=PARTS, default=list(PARTS),
        help=f"some of {', '.join(PARTS)} (default: all)",
    )  # fmt: skip
    checks.add_argument("--toy", action="store_true", help="toy sizes, to see that everything runs")
    add_common_flags(checks, minutes=9)
    checks.set_defaults(command=check_command)

    runs = commands.add_parser("accuracy", help="one training run on CIFAR-10")
    runs.add_argument("--seed", metavar="N", type=int, required=True, help="of the run")
    runs.add_argument(
        "--data-dir", metavar="DIR", help="folder of CIFAR-10 (default: where minicnn train keeps it)"
    )
    add_common_flags(runs, minutes=6)
    runs.set_defaults(command=accuracy_command)

    show = commands.add_parser(
        "show", help="print the report of an earlier check, or sum up runs of accuracy"
    )
    show.add_argument("files", metavar="JSON", nargs="+", type=Path)
    show.set_defaults(command=show_command)

    reckon = commands.add_parser(
        "reckon",
        help="reckon the time of a step's convolutions from two rates of a GPU, without one",
        description="The defaults are an H200's, in float32. For TF32: --tflops 350",
    )
    reckon.add_argument(
        "--tflops", metavar="N", type=positive_number, default=52,
        help="of a large matrix product, in 10^12 operations per second (default: 52)",
    )  # fmt: skip
    reckon.add_argument(
        "--copy", metavar="GB/S", type=positive_number, default=4000,
        help="rate of a copy within its memory, read and written (default: 4000)",
    )  # fmt: skip
    reckon.add_argument(
        "--cores", metavar="N", type=positive_whole_number, default=132, help="multiprocessors (default: 132)"
    )
    reckon.set_defaults(command=reckon_command)
    return parser


def add_common_flags(parser: argparse.ArgumentParser, minutes: float) -> None:
    """Add --minutes and --output."""
    parser.add_argument(
        "--minutes", metavar="M", type=positive_number, default=minutes,
        help=f"how long it may take (default: {minutes})",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, default=OUTPUT / "gpu",
        help="where results go (default: benchmarks/output/gpu)",
    )  # fmt: skip


def check_command(options: argparse.Namespace) -> None:
    """Run the parts, writing the report after each."""

    def after_part(record: Record) -> None:
        write(record, options.output, as_markdown(record))
        name, part = list(record["parts"].items())[-1]
        print(f"{name}: {part['status']} in {part['seconds']:.0f} s", flush=True)

    record = check(options.parts, options.minutes, options.toy, after_part, in_process_of_its_own)
    print("", *verdicts(record), f"written: {options.output / 'check.md'}", sep="\n")


def accuracy_command(options: argparse.Namespace) -> None:
    """Train once."""
    from benchmarks.gpu.accuracy import accuracies_as_markdown, accuracy

    record = accuracy(options.seed, options.minutes, "cifar10", options.data_dir, options.output)
    print(accuracies_as_markdown([record]))
    print(f"written: {options.output / f'accuracy-{options.seed}.json'}")


def reckon_command(options: argparse.Namespace) -> None:
    """Print what a GPU should take."""
    from benchmarks.gpu.reckoning import Gpu, report

    print(report(Gpu(options.tflops * 1e12, options.copy * 1e9, options.cores)))


def show_command(options: argparse.Namespace) -> None:
    """Print reports again."""
    from benchmarks.gpu.accuracy import accuracies_as_markdown

    records = [read(path) for path in options.files]
    kinds = {record["kind"] for record in records}
    if kinds == {"gpu accuracy"}:
        print(accuracies_as_markdown(records), end="")
    elif len(records) == 1:
        print(as_markdown(records[0]), end="")
    else:
        raise BenchmarkError("show: expected one check, or one or several runs of accuracy")


def read(path: Path) -> Record:
    """Read what a check or a run wrote."""
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        if record["kind"] not in ("gpu check", "gpu accuracy"):
            raise ValueError(record["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(
            f"{path}: expected what a check or a run of accuracy wrote ({error!r})"
        ) from None
    return record
