"""The arithmetic of a step, counted by minicnn's own summary; and the weights all frameworks begin with."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.workloads import Workload
from minicnn import study


def count_flop(workload: Workload) -> int:
    """Count the floating-point operations of all convolutions and linear layers in one step.

    Multiplications and additions, two for each multiply-add. Training takes three products of the same size:
    the output, the gradient of the weights and that of the input. The last is not needed for the first
    convolution, since nobody asks for the gradient of the images.

    Examples
    --------
    >>> from benchmarks.workloads import WORKLOADS
    >>> round(count_flop(WORKLOADS[0]) / 1e9, 1)
    184.6
    """
    summary = study.summarize(make_network(workload), (1, workload.side, workload.side, 3))
    forward = summary.total_macs + (summary.training_macs if workload.training else 0)
    products = 3 * forward - summary.rows[0].macs if workload.training else forward
    return 2 * workload.batch * products


def count_activations(workload: Workload) -> int:
    """Count the elements that all ops of one forward pass put out: what ReLU, pooling and copies pass over.

    Examples
    --------
    >>> from benchmarks.workloads import WORKLOADS
    >>> round(count_activations(WORKLOADS[0]) / 1e6)
    123
    """
    rows = study.summarize(make_network(workload), (1, workload.side, workload.side, 3)).rows
    return workload.batch * sum(
        math.prod(row.output_shape) for row in rows if workload.training or not row.training_only
    )


def write_weights(workload: Workload, folder: Path) -> Path:
    """Write minicnn's initial weights to an .npz file, by name."""
    path = folder / f"{workload.title}.npz"
    np.savez(path, **make_network(workload).state_dict())
    return path
