"""Where the time of a training step goes, by kernel: PyTorch's profiler sees everybody's kernels."""

from __future__ import annotations

import importlib
import re
from typing import Any

from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.gpu.contenders import has_torch, load_libraries
from benchmarks.gpu.minicnn_steps import MinicnnSteps, give_back
from benchmarks.gpu.notes import Notes
from benchmarks.gpu.parts.speed import one_turn
from minicnn.cuda.graph import WARM_UPS
from minicnn.cuda.kernels import KERNELS

STEPS = 3
MOST_KERNELS = 25
OURS = {kernel.partition("<")[0]: file for file, kernels in KERNELS.items() for kernel in kernels}


def run(notes: Notes) -> None:
    """Profile a step of each workload in each precision."""
    load_libraries()
    if not has_torch():
        notes.note("remark", "PyTorch, whose profiler this needs, is not installed")
        return
    notes.note("steps", [])
    for workload in notes.sizes.workloads():
        for precision in notes.sizes.precisions:
            if workload.training and notes.left > 4:
                give_back()
                steps = MinicnnSteps(workload, make_network(workload).state_dict(), precision)
                one_turn(steps, WARM_UPS + 1)
                seconds = one_turn(steps, STEPS)
                kernels = profiled(steps)
                notes.add("steps", {
                    "workload": workload.title, "precision": precision, "step_seconds": seconds,
                    "kernel_seconds": sum(kernel["seconds"] for kernel in kernels),
                    "families": families(kernels),
                    "kernels": kernels[:MOST_KERNELS],
                })  # fmt: skip


def profiled(steps: Any) -> list[dict[str, Any]]:
    """Return the kernels of one step, the slowest first: name, number, seconds."""
    torch = importlib.import_module("torch")
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        one_turn(steps, STEPS)
    on_gpu = [event for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return by_name([(event.name, event.time_range.elapsed_us() / 1e6) for event in on_gpu], STEPS)


def by_name(events: list[tuple[str, float]], steps: int) -> list[dict[str, Any]]:
    """Add up the seconds of events of one name.

    Examples
    --------
    >>> by_name([("void clip<float>(Row const*)", 1.0), ("gemm", 2.0), ("gemm", 4.0)], 2)[0]
    {'name': 'gemm', 'calls': 1.0, 'seconds': 3.0}
    """
    totals: dict[str, list[float]] = {}
    for name, seconds in events:
        totals.setdefault(name, []).append(seconds)
    rows = [
        {"name": name[:120], "calls": len(times) / steps, "seconds": sum(times) / steps}
        for name, times in totals.items()
    ]
    return sorted(rows, key=lambda row: -row["seconds"])


def families(kernels: list[dict[str, Any]]) -> dict[str, float]:
    """Add up kernels by what they are: one of our files, matrix products, CuPy's own, copies."""
    totals: dict[str, float] = {}
    for kernel in kernels:
        family = family_of(kernel["name"])
        totals[family] = totals.get(family, 0.0) + kernel["seconds"]
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def family_of(name: str) -> str:
    """Tell what a kernel belongs to.

    Examples
    --------
    >>> family_of("void max_pool_forward<float, 4, unsigned char>(float const*)")
    'max_pool.cu'
    >>> family_of("sm80_xmma_gemm_f32f32")
    'matrix products'
    """
    bare = re.sub(r"^void\s+|[<(].*", "", name)
    if bare in OURS:
        return OURS[bare]
    if re.search(r"gemm|gemv|cutlass|xmma|splitK|nvjet", name):
        return "matrix products"
    if name.startswith(("Memcpy", "Memset")):
        return "copies and fills"
    return "array operations of CuPy" if "cupy" in name else "other"
