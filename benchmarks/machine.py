"""What is measured on: the machine, the versions of the libraries, and how fast it multiplies matrices."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

import minicnn
from benchmarks.contenders import installed_version

GEMM_SIZE = 2048


def describe(frameworks: Sequence[str]) -> dict[str, Any]:
    """Say what somebody else needs to judge the figures; nothing about whose machine it is."""
    blas = [library for library in ThreadpoolController().info() if library["user_api"] == "blas"]
    versions = {name: installed_version(name) for name in frameworks if name != "minicnn"}
    return {
        "cpu": cpu_model(),
        "cores": minicnn.get_num_threads(),
        "system": platform.system(),
        "versions": {
            "Python": platform.python_version(),
            "minicnn": minicnn.__version__,
            "NumPy": np.__version__,
            "BLAS": ", ".join(f"{b['internal_api']} {b['version']} ({b['architecture']})" for b in blas),
            **versions,
        },
        "date": datetime.date.today().isoformat(),
    }


def cpu_model() -> str:
    """Return what the processor calls itself."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measure_gemm(threads: int, size: int = GEMM_SIZE, repeats: int = 20) -> float:
    """Return the rate of a square float32 product in NumPy, in operations per second.

    The best of some repeats: it stands for what the machine can do, and the network's rate is measured by it.
    """
    a, b = np.random.default_rng(0).standard_normal((2, size, size), np.float32)
    out = np.empty_like(a)
    seconds = []
    with ThreadpoolController().limit(limits=threads, user_api="blas"):
        for _ in range(repeats):
            started = time.perf_counter()
            np.matmul(a, b, out=out)
            seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)
