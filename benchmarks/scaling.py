"""How minicnn's cost grows as the work grows: with the batch, with the width, and with the threads.

All in training. What is compared with each other takes turns, as frameworks do in a comparison.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, tables, work
from benchmarks.comparison import take_turns
from benchmarks.contenders import MINICNN, OTHERS, Contender
from benchmarks.progress import Progress
from benchmarks.spread import Spread, ratios, spread
from benchmarks.team import Worker
from benchmarks.workloads import WORKLOADS, Workload

BATCHES = (32, 64, 128, 256, 512)
BATCH_WIDTHS = (0.25, 1.0)
WIDTHS = (0.25, 0.375, 0.5, 0.75, 1.0)
MINICNN_ON_ONE_THREAD = next(contender for contender in OTHERS if contender.one_thread)


@dataclass(frozen=True)
class Scaling:
    """What the three studies found.

    Attributes
    ----------
    machine : dict
    threads : int
    batches : list of Measured
        Every width with every batch size.
    widths : list of Measured
        Every width with the same batch size.
    one_thread, all_threads : Measured
        W1.
    """

    machine: dict[str, Any]
    threads: int
    batches: list[Measured]
    widths: list[Measured]
    one_thread: Measured
    all_threads: Measured


@dataclass(frozen=True)
class Measured:
    """minicnn on one workload: the seconds of a step, round by round, and the process's peak memory."""

    workload: Workload
    seconds: list[float]
    peak_bytes: int

    @property
    def step(self) -> Spread:
        """Spread of the seconds."""
        return spread(self.seconds)


def small_googlenet(width: float, batch: int) -> Workload:
    """Return googlenet_cifar in training; small batches take several steps in a turn."""
    return Workload(
        f"width {width}, batch {batch}", small=True, width=width, batch=batch, classes=10, training=True,
        steps_per_turn=max(1, 128 // batch),
    )  # fmt: skip


def scaling_command(options: argparse.Namespace) -> None:
    """Measure, print the tables, write scaling.json."""
    batch_studies = [[small_googlenet(width, batch) for batch in BATCHES] for width in BATCH_WIDTHS]
    width_study = [small_googlenet(width, 64) for width in WIDTHS]
    turns = options.rounds * (sum(map(len, batch_studies)) + len(width_study) + 2)
    with tempfile.TemporaryDirectory() as folder, Progress(turns) as progress:

        def measured(what: str, runs: Sequence[tuple[Contender, Workload]]) -> list[Measured]:
            progress.begin(what)
            return measure(runs, Path(folder), options.threads, options.rounds, progress.after_turn)

        threads = measured("threads", [(c, WORKLOADS[0]) for c in (MINICNN_ON_ONE_THREAD, MINICNN)])
        widths = measured("widths", [(MINICNN, workload) for workload in width_study])
        batches = [
            row for study in batch_studies for row in measured("batches", [(MINICNN, w) for w in study])
        ]
    scaling = Scaling(machine.describe([]), options.threads, batches, widths, *threads)
    print(scaling_as_text(scaling))
    path = options.output / "scaling.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(scaling), indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {path}")


def measure(
    runs: Sequence[tuple[Contender, Workload]],
    folder: Path,
    threads: int,
    rounds: int,
    after_turn: Callable[[str], None],
) -> list[Measured]:
    """Let some workloads take turns."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(contender, workload, work.write_weights(workload, folder), threads))
            for contender, workload in runs
        ]
        all_seconds = take_turns(workers, rounds, after_turn)
        return [
            Measured(worker.workload, [s for s in seconds if s is not None], worker.peak_bytes())
            for worker, seconds in zip(workers, all_seconds, strict=True)
        ]


def split_by_width(widths: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Split time into a part that grows with the width and one that grows with its square.

    Least squares of the relative errors of a * width + b * width**2.

    Returns
    -------
    (float, float)
        a and b: the two parts at width 1, in seconds.

    Examples
    --------
    >>> a, b = split_by_width([0.25, 0.5, 1.0], [0.1875, 0.5, 1.5])
    >>> round(a, 6), round(b, 6)
    (0.5, 1.0)
    """
    w, t = np.asarray(widths), np.asarray(seconds)
    a, b = np.linalg.lstsq(np.stack([w / t, w**2 / t], axis=1), np.ones_like(t), rcond=None)[0]
    return float(a), float(b)


def scaling_as_text(scaling: Scaling) -> str:
    """Return the tables."""
    versions = ", ".join(f"{name} {version}" for name, version in scaling.machine["versions"].items())
    title = f"{scaling.machine['cpu']}, {scaling.threads} threads, googlenet_cifar in training, float32"
    ratio = ratios(scaling.one_thread.seconds, scaling.all_threads.seconds)
    threads = (
        f"{scaling.one_thread.workload.title}: one thread {1e3 * scaling.one_thread.step.median:.0f} ms, "
        f"{scaling.threads} threads {1e3 * scaling.all_threads.step.median:.0f} ms: "
        f"{ratio.median:.2f} times as fast (quartiles {ratio.lower:.2f}-{ratio.upper:.2f})"
    )
    return "\n\n".join([f"{title}\n{versions}", threads, batch_table(scaling), width_table(scaling)])


def batch_table(scaling: Scaling) -> str:
    """Return images per second and peak memory for every width and batch size."""
    rows = [["", "ms a step", "images/s", "quartiles", "of batch 32", "peak MiB"]]
    for row in scaling.batches:
        batch = row.workload.batch
        alike = [r for r in scaling.batches if r.workload.width == row.workload.width]
        rows.append(
            [
                row.workload.name,
                f"{1e3 * row.step.median:.1f}",
                f"{batch / row.step.median:.1f}",
                f"{batch / row.step.upper:.1f}-{batch / row.step.lower:.1f}",
                f"{(batch / row.step.median) / (alike[0].workload.batch / alike[0].step.median):.0%}",
                f"{row.peak_bytes / (1 << 20):.0f}",
            ]
        )
    lines = []
    for width in dict.fromkeys(row.workload.width for row in scaling.batches):
        rates = [r.workload.batch / r.step.median for r in scaling.batches if r.workload.width == width]
        lines.append(
            f"width {width}: {min(rates):.1f} to {max(rates):.1f} images/s, "
            f"the slowest batch size {1 - min(rates) / max(rates):.0%} below the fastest"
        )
    return "\n".join(["the same work per image, whatever the batch", *tables.in_columns(rows), *lines])


def width_table(scaling: Scaling) -> str:
    """Return time against width, and how much of it grows with the width and with its square."""
    widths = [row.workload.width for row in scaling.widths]
    a, b = split_by_width(widths, [row.step.median for row in scaling.widths])
    rows = [
        ["", "ms", "quartiles", "fit", "~ width", "~ width^2", "M activations", "GFLOP", "GFLOP/s"],
    ]
    for width, row in zip(widths, scaling.widths, strict=True):
        linear, square = a * width, b * width**2
        flop = work.count_flop(row.workload)
        rows.append(
            [
                row.workload.name,
                f"{1e3 * row.step.median:.1f}",
                f"{1e3 * row.step.lower:.1f}-{1e3 * row.step.upper:.1f}",
                f"{1e3 * (linear + square):.1f}",
                f"{linear / (linear + square):.0%}",
                f"{square / (linear + square):.0%}",
                f"{work.count_activations(row.workload) / 1e6:.1f}",
                f"{flop / 1e9:.1f}",
                f"{flop / row.step.median / 1e9:.1f}",
            ]
        )
    return "\n".join(
        [
            f"time against width: {1e3 * a:.0f} ms * width + {1e3 * b:.0f} ms * width^2",
            "counted: products (GFLOP) grow with the square of the width, activations with the width; narrow",
            "products run at a lower rate, so that their time grows more slowly than their number",
            *tables.in_columns(rows),
        ]
    )
