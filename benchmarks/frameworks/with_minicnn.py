"""GoogLeNet in minicnn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn
from benchmarks.workloads import AUX_WEIGHT, LEARNING_RATE, MOMENTUM, Workload
from minicnn import Tensor, models, nn, no_grad, optim


def prepare(
    workload: Workload,
    weights: dict[str, np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    threads: int,
    lrn: bool = True,
) -> Callable[[], Any]:
    minicnn.set_num_threads(threads)
    network = make_network(workload)
    network.load_state_dict(weights)
    for _, module in network.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    if not lrn:
        network.norm1 = network.norm2 = nn.Sequential()
    sgd = optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def train() -> float:
        with minicnn.pinned_blas():
            loss = models.total_loss(network(Tensor(images)), labels, AUX_WEIGHT)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            return loss.item()

    def infer() -> np.ndarray:
        with no_grad():
            return network(Tensor(images)).logits.data

    network.train(workload.training)
    return train if workload.training else infer


def profile(step: Callable[[], Any], steps: int) -> dict[str, Any]:
    """Return where the time of a step goes, and in `separate_ops` the same without fused ops.

    Each has the seconds of a step and its ops, the slowest first: their seconds, rates and memory.
    """
    return {**_profile(step, steps, composed=False), "separate_ops": _profile(step, steps, composed=True)}


def _profile(step: Callable[[], Any], steps: int, composed: bool) -> dict[str, Any]:
    with minicnn.profile(composed=composed) as record:
        for _ in range(steps):
            step()
    ops = [
        {
            "name": row.name,
            "calls": row.calls / steps,
            "forward_seconds": row.forward_seconds / steps,
            "backward_seconds": row.backward_seconds / steps,
            "flop": (row.forward_flops + row.backward_flops) // steps,
            "kept_bytes": row.kept_bytes // steps,
        }
        for row in record.rows(by="op")
    ]
    return {"seconds": record.seconds / steps, "ops": ops}


def make_network(workload: Workload) -> models.GoogLeNet:
    """Build the network of a workload with its initial weights, always the same."""
    rng = np.random.default_rng(0)
    if workload.small:
        return models.googlenet_cifar(workload.classes, workload.width, rng=rng)
    return models.googlenet(workload.classes, rng=rng)
