"""What can be typed after `python -m benchmarks`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks import machine, tables, work
from benchmarks.chart import draw_chart
from benchmarks.comparison import compare
from benchmarks.contenders import OTHERS, ROOT, choose
from benchmarks.progress import Progress
from benchmarks.records import Report, read_reports
from benchmarks.scaling import scaling_command
from benchmarks.workloads import NAMES, WORKLOADS
from minicnn import get_num_threads
from minicnn.cli.values import positive_whole_number
from minicnn.errors import MinicnnError

OUTPUT = ROOT / "benchmarks" / "output"
SAVED_REPORT = ROOT / "benchmarks" / "results" / "comparison.json"
SAVED_CHART = ROOT / "docs" / "pictures" / "benchmarks.png"
EXAMPLES = """\
examples:
  python -m benchmarks compare                                  all of it, about ten minutes on two cores
  python -m benchmarks compare --workloads W2 --against torch
  python -m benchmarks show benchmarks/results/comparison.json  the tables and the chart once more
  python -m benchmarks scaling                                  larger batches, wider networks
"""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, instead of printing the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"benchmarks: error: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `python -m benchmarks`."""
    return run(build_parser(), arguments)


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Run a command line; return 0, or 2 with one line on standard error if it cannot be done."""
    try:
        options = parser.parse_args(arguments)
        options.command(options)
    except (MinicnnError, OSError) as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks: stopped", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; the parsed options have the function to call as `command`."""
    parser = OneLineParser(
        prog="python -m benchmarks", description="Measure minicnn's speed, also against other frameworks.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    comparison = commands.add_parser("compare", help="minicnn against other frameworks, round by round")
    comparison.add_argument(
        "--workloads", metavar="NAME", nargs="+", choices=NAMES, default=NAMES,
        help=f"what to run: some of {', '.join(NAMES)} (default: all)",
    )  # fmt: skip
    comparison.add_argument(
        "--against", metavar="NAME", nargs="*",
        help=f"whom to compare with: some of {', '.join(c.name for c in OTHERS)}; none if no name follows "
        "(default: all that are installed)",
    )  # fmt: skip
    add_common_flags(comparison, rounds=9)
    add_output_flags(comparison)
    comparison.set_defaults(command=compare_command)

    show = commands.add_parser("show", help="print the tables and draw the chart of earlier comparisons")
    show.add_argument(
        "reports", metavar="JSON", nargs="+", type=Path,
        help="what a comparison wrote; several, with different workloads, are joined",
    )  # fmt: skip
    add_output_flags(show)
    show.set_defaults(command=show_command)

    scaling = commands.add_parser("scaling", help="larger batches, wider networks, one thread and several")
    add_common_flags(scaling, rounds=5)
    scaling.add_argument(
        "--output", metavar="FOLDER", type=Path, default=OUTPUT,
        help="where scaling.json goes (default: benchmarks/output)",
    )  # fmt: skip
    scaling.set_defaults(command=scaling_command)
    return parser


def add_common_flags(parser: argparse.ArgumentParser, rounds: int) -> None:
    """Add --rounds and --threads."""
    parser.add_argument(
        "--rounds", metavar="N", type=positive_whole_number, default=rounds,
        help=f"turns of everybody (default: {rounds})",
    )  # fmt: skip
    parser.add_argument(
        "--threads", metavar="N", type=positive_whole_number, default=get_num_threads(),
        help="threads of every framework (default: the cores this process may use)",
    )  # fmt: skip


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Add --output and --save."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--output", metavar="FOLDER", type=Path, default=OUTPUT,
        help="where comparison.json and comparison.png go (default: benchmarks/output)",
    )  # fmt: skip
    where.add_argument(
        "--save", action="store_true",
        help="write what the README shows: benchmarks/results/comparison.json, docs/pictures/benchmarks.png",
    )  # fmt: skip


def compare_command(options: argparse.Namespace) -> None:
    """Measure, print the tables, write the files."""
    others, missing = choose(options.against)
    for line in missing:
        print(line, file=sys.stderr)
    workloads = [workload for workload in WORKLOADS if workload.name in options.workloads]
    frameworks = dict.fromkeys(contender.framework for contender in others)
    threads = {1, options.threads}
    gemm = {str(count): machine.measure_gemm(count) for count in sorted(threads)}

    turns = sum(-(-options.rounds // contender.every) for contender in others) + options.rounds
    measurements = []
    with tempfile.TemporaryDirectory() as folder, Progress(turns * len(workloads)) as progress:
        for workload in workloads:
            weights = work.write_weights(workload, Path(folder))
            progress.begin(workload.title)
            measurements.append(
                compare(workload, others, weights, options.threads, options.rounds, progress.after_turn)
            )
    report = Report(machine.describe(list(frameworks)), options.threads, gemm, measurements)
    publish(report, options)


def show_command(options: argparse.Namespace) -> None:
    """Print the tables of earlier runs and write the files again."""
    publish(read_reports(options.reports), options)


def publish(report: Report, options: argparse.Namespace) -> None:
    """Print the tables; write the report and the chart."""
    print(tables.report_as_text(report))
    report_path = SAVED_REPORT if options.save else options.output / "comparison.json"
    chart_path = SAVED_CHART if options.save else options.output / "comparison.png"
    report.write(report_path)
    print(f"\nwritten: {report_path}")
    if any(len(measurement.times) > 1 for measurement in report.measurements):
        draw_chart(report, chart_path)
        print(f"written: {chart_path}")
