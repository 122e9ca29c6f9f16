"""Would the branches of an inception module be done sooner side by side, each on a stream of its own?

A product of few rows leaves some of the GPU's cores idle; another branch could use them. Measured is the
forward pass of each module, recorded and replayed: by its own layers, one branch after the other and side by
side; and as minicnn trains, in one op, which joins some products and writes branches where they are wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.gpu.kernel_cases import normal
from benchmarks.gpu.minicnn_steps import PRECISIONS
from benchmarks.gpu.notes import Notes
from benchmarks.gpu.parts.convolutions import convolutions_of
from benchmarks.gpu.timing import seconds_per_call
from benchmarks.workloads import Workload
from minicnn import Tensor, nn, no_grad, set_float32_matmul_precision
from minicnn.backend import use_device
from minicnn.parallel import on_device_of

Branch = Callable[[], Any]

CALLS, REPEATS = 6, 3
LEAST_SECONDS = 1  # for another module


def run(notes: Notes) -> None:
    """Time the modules of each network in each precision."""
    use_device("cuda")
    # Made once: cuBLAS keeps a workspace for each stream.
    streams = [sys.modules["cupy"].cuda.Stream(non_blocking=True) for _ in range(3)]
    notes.note("modules", [])
    for workload in notes.sizes.workloads():
        for name, whole, branches in modules_of(workload) if workload.training else ():
            for precision in notes.sizes.precisions:
                if notes.left > LEAST_SECONDS:
                    set_float32_matmul_precision(PRECISIONS[precision])
                    notes.add("modules", {
                        "module": f"{workload.name} {name}", "precision": precision,
                        "one_op": seconds_of(partial(in_turn, [whole])),
                        "in_turn": seconds_of(partial(in_turn, branches)),
                        "side_by_side": seconds_of(partial(side_by_side, branches, streams)),
                    })  # fmt: skip


def modules_of(workload: Workload) -> list[tuple[str, Branch, list[Branch]]]:
    """List the inception modules of a network: name, what does all of it, and what does each branch."""
    shapes = {layer.name.split()[-1]: layer.x_shape for layer in convolutions_of(workload)}
    network = make_network(workload).to("cuda")
    return [
        (name, *functions_of(module, shapes[f"{name}.conv1x1"]))
        for name, module in network.named_modules()
        if isinstance(module, nn.Inception)
    ]


def functions_of(module: nn.Inception, x_shape: tuple[int, ...]) -> tuple[Branch, list[Branch]]:
    """Return what the whole module does to a batch, and what its branches do."""
    x = Tensor(normal(*x_shape))
    return lambda: module(x).data, [
        lambda: module.conv3x3(module.conv3x3_reduce(x)).data,  # the longest one first
        lambda: module.conv5x5(module.conv5x5_reduce(x)).data,
        lambda: module.pool_proj(module.pool(x)).data,
        lambda: module.conv1x1(x).data,
    ]


def in_turn(branches: Sequence[Branch]) -> list[Any]:
    """Run the branches one after the other."""
    return [branch() for branch in branches]


def side_by_side(branches: Sequence[Branch], others: Sequence[Any]) -> list[Any]:
    """Run the first branch on the current stream and the others on theirs; wait for all of them."""
    first = sys.modules["cupy"].cuda.get_current_stream()
    begin = first.record()
    results = []
    for branch, stream in zip(branches[1:], others, strict=True):
        stream.wait_event(begin)
        with stream:
            results.append(branch())
    results.append(branches[0]())
    for stream in others:
        first.wait_event(stream.record())
    return results


def seconds_of(function: Callable[[], Any]) -> float:
    """Return how long the GPU takes, without Python."""
    with no_grad(), on_device_of(normal(1)):
        return seconds_per_call([function], CALLS, REPEATS)
