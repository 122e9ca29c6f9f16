"""What else one would like to know before the GPU is given back: the best tiles, and how batches pay."""

from __future__ import annotations

import dataclasses

import minicnn.parallel
from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.gpu.contenders import load_libraries
from benchmarks.gpu.minicnn_steps import MinicnnSteps, give_back
from benchmarks.gpu.notes import Notes
from benchmarks.gpu.parts.speed import one_turn
from benchmarks.workloads import Workload
from minicnn.cuda.graph import WARM_UPS

LEAST_SECONDS = 4  # for another one


def run(notes: Notes) -> None:
    """Time training steps with different tiles, then with different batches."""
    load_libraries()
    training = [workload for workload in notes.sizes.workloads() if workload.training]
    as_installed = minicnn.parallel.GPU_TILE_BYTES
    notes.note("tile_bytes_as_installed", as_installed)
    try:
        for workload in training:
            for precision in notes.sizes.precisions:
                for tile in notes.sizes.tiles:
                    if notes.left > LEAST_SECONDS:
                        minicnn.parallel.GPU_TILE_BYTES = tile
                        notes.add("tiles", {
                            "workload": workload.title, "precision": precision, "tile_bytes": tile,
                            "seconds": step_seconds(workload, precision, notes.sizes.sweep_steps),
                        })  # fmt: skip
    finally:
        minicnn.parallel.GPU_TILE_BYTES = as_installed
    for precision in notes.sizes.precisions:
        for batch in notes.sizes.batches:
            if notes.left > LEAST_SECONDS:
                seconds = step_seconds(
                    dataclasses.replace(training[0], batch=batch), precision, notes.sizes.sweep_steps
                )
                notes.add(
                    "batches", {"batch": batch, "precision": precision, "images_per_second": batch / seconds}
                )


def step_seconds(workload: Workload, precision: str, count: int) -> float:
    """Return how long a recorded training step takes."""
    give_back()
    steps = MinicnnSteps(workload, make_network(workload).state_dict(), precision)
    one_turn(steps, WARM_UPS + 1)
    return one_turn(steps, count)
