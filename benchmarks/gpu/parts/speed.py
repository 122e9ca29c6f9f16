"""Measurement 1: whole steps of minicnn and PyTorch, in turns, in one process.

Losses are compared too. In float32, why 5e-5: see benchmarks/agreement.py for what rounding does; and cuDNN
may choose Winograd's algorithm, which has one digit less. In TF32 factors are rounded to 2^-11 = 5e-4 of
their size. Most of that averages out in a sum, not all of it in twenty layers and two updates; so 5e-3, which
shows no more than that nothing has gone wrong. That the networks are the same is shown in float32.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from benchmarks import agreement
from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.gpu.contenders import GpuContender, contenders, load_libraries
from benchmarks.gpu.minicnn_steps import give_back
from benchmarks.gpu.notes import Notes
from benchmarks.gpu.timing import synchronize
from benchmarks.work import count_flop
from benchmarks.worker import FIRST_STEPS, cross_entropy
from benchmarks.workloads import Workload

TOLERANCES = {"float32": 5e-5, "TF32": 5e-3}
LEAST_ROUNDS = 3


def run(notes: Notes) -> None:
    """Compare on all workloads in both precisions, as long as there is time; training comes first."""
    load_libraries()
    notes.note("comparisons", [])
    runs = [
        (workload, precision) for workload in notes.sizes.workloads() for precision in notes.sizes.precisions
    ]
    for place, (workload, precision) in enumerate(runs):
        seconds = notes.left / (len(runs) - place)
        if seconds < 1 and notes.left < 10:
            notes.add("left_out", f"{workload.title}, {precision}")
            continue
        notes.add("comparisons", compare(workload, precision, notes, time.monotonic() + seconds))
        give_back()


def compare(workload: Workload, precision: str, notes: Notes, deadline: float) -> dict[str, Any]:
    """Let all take turns on one workload; return their seconds, losses and memory."""
    weights = make_network(workload).state_dict()
    _, labels = workload.images_and_labels()
    teams: list[tuple[GpuContender, Any]] = []
    entries: list[dict[str, Any]] = []
    for contender in contenders(workload.training, precision):
        entry: dict[str, Any] = {
            "name": contender.name,
            "title": contender.title,
            "rival": contender.is_rival,
        }
        entries.append(entry)
        try:
            steps = contender.prepare(workload, weights, precision)
            results = [steps.read(steps.step()) for _ in range(FIRST_STEPS)]
            values = results if workload.training else [cross_entropy(logits, labels) for logits in results]
            entry["values"] = [float(value) for value in values]
            one_turn(steps, 1)  # a capture comes after the first steps
            entry["seconds_at_first"] = one_turn(steps, 2)
            entry["memory_bytes"] = steps.memory_bytes()
        except Exception as error:  # noqa: BLE001 - the others go on
            entry["problem"] = (
                f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
            )
            continue
        entry["seconds"] = []
        teams.append((contender, steps))
    running = [entry for entry in entries if "problem" not in entry]
    turns = [max(1, math.ceil(notes.sizes.turn_seconds / entry["seconds_at_first"])) for entry in running]
    for number in range(notes.sizes.rounds):
        if number >= LEAST_ROUNDS and time.monotonic() > deadline:
            break
        for place in range(len(teams)):
            index = (place + number) % len(teams)  # who begins changes from round to round
            running[index]["seconds"].append(one_turn(teams[index][1], turns[index]))
    for entry in running:
        difference = agreement.worst_difference(running[0]["values"], entry["values"])
        entry["difference"] = difference
        entry["agrees"] = bool(difference <= TOLERANCES[precision])
    return {
        "workload": workload.title, "network": workload.network, "training": workload.training,
        "batch": workload.batch, "precision": precision, "flop": count_flop(workload),
        "tolerance": TOLERANCES[precision], "entries": entries,
    }  # fmt: skip


def one_turn(steps: Any, count: int) -> float:
    """Take some steps; return the seconds of one. The GPU has nothing else to do before and after."""
    synchronize()
    started = time.perf_counter()
    for _ in range(count):
        steps.step()
    synchronize()
    return float(np.float64(time.perf_counter() - started) / count)
