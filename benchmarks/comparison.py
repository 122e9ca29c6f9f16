"""Contenders take turns on one workload, round by round, so that all meet the machine in the same moods."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import agreement
from benchmarks.contenders import MINICNN, MINICNN_WITHOUT_LRN, Contender
from benchmarks.records import Measurement, Times
from benchmarks.team import Worker
from benchmarks.work import count_flop
from benchmarks.workloads import Workload

# Threads of OpenMP and OpenBLAS wait for more work by spinning for a while; a core they hold is missing to
# whoever comes next.
PAUSE_SECONDS = 0.1


def compare(
    workload: Workload,
    others: Sequence[Contender],
    weights: Path,
    threads: int,
    rounds: int,
    after_turn: Callable[[str], None],
) -> Measurement:
    """Measure minicnn and the others on one workload.

    Parameters
    ----------
    workload : Workload
    others : sequence of Contender
    weights : Path
        An .npz file that all start with.
    threads, rounds : int
    after_turn : callable
        Is told the title of the contender after each of its turns.

    Raises
    ------
    BenchmarkError
        If a contender computes something else, or its process ends.
    """
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(contender, workload, weights, threads))
            for contender in (MINICNN, *others)
        ]
        agreed = check_agreement(workers, weights, threads)
        seconds = take_turns(workers, rounds, after_turn)
        times = [
            Times(c.name, c.title, measured, worker.peak_bytes(), c.one_thread)
            for worker, c, measured in zip(workers, (MINICNN, *others), seconds, strict=True)
        ]
        profile = dict(workers[0].profile())  # last: it keeps records, which take memory
    return Measurement(workload, count_flop(workload), agreed, times, profile)


def check_agreement(workers: Sequence[Worker], weights: Path, threads: int) -> str:
    """Compare the losses of all workers with those of the first; say how well they agree."""
    minicnn, *others = workers
    without_lrn: list[float] = []
    worst = 0.0
    for worker in others:
        expected = minicnn.values
        if not worker.contender.lrn:
            if not without_lrn:
                with Worker(MINICNN_WITHOUT_LRN, worker.workload, weights, threads) as reference:
                    without_lrn = reference.values
            expected = without_lrn
        what = f"{worker.contender.title} on {worker.workload.title}"
        worst = max(worst, agreement.check(what, expected, worker.values))
    first, last = minicnn.values[0], minicnn.values[-1]
    losses = f"{first:.5f}, after two updates {last:.5f}" if minicnn.workload.training else f"{first:.5f}"
    return f"loss {losses}; largest relative difference between frameworks {worst:.0e}"


def take_turns(
    workers: Sequence[Worker], rounds: int, after_turn: Callable[[str], None]
) -> list[list[float | None]]:
    """Let everybody take a turn in every round; who begins changes from round to round."""
    seconds: list[list[float | None]] = [[None] * rounds for _ in workers]
    for number in range(rounds):
        for place in range(len(workers)):
            index = (place + number) % len(workers)
            worker = workers[index]
            if number % worker.contender.every == 0:
                time.sleep(PAUSE_SECONDS)
                seconds[index][number] = worker.turn()
                after_turn(worker.contender.title)
    return seconds
