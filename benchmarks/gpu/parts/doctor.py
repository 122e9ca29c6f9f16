"""What there is: the GPU, the libraries and their versions; and what `minicnn doctor` says."""

from __future__ import annotations

import importlib
import platform
import sys
from typing import Any

from benchmarks.gpu.contenders import has_torch, load_libraries
from benchmarks.gpu.notes import Notes
from benchmarks.machine import describe
from minicnn.backend import use_device
from minicnn.doctor import diagnose, gather, report


def run(notes: Notes) -> None:
    """Ask all of them."""
    notes.note("machine", {**describe([]), "python": platform.python_version()})
    facts = gather(0)
    notes.note("doctor", report(facts, diagnose(facts, 0), 0))
    load_libraries()
    if has_torch():
        notes.note("torch", torch_versions())
    use_device("cuda")
    notes.note("cupy", cupy_versions())


def torch_versions() -> dict[str, Any]:
    """Return PyTorch's and cuDNN's."""
    torch = importlib.import_module("torch")
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": cudnn}


def cupy_versions() -> dict[str, Any]:
    """Return CuPy's, CUDA's and cuBLAS's, and which GPU it is."""
    cupy = sys.modules["cupy"]
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(0)
    versions = {
        "gpu": properties["name"].decode(), "multiprocessors": properties["multiProcessorCount"],
        "memory_bytes": properties["totalGlobalMem"], "l2_bytes": properties.get("l2CacheSize"),
        "cupy": cupy.__version__, "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
    }  # fmt: skip
    cublas = importlib.import_module("cupy_backends.cuda.libs.cublas")
    if hasattr(cublas, "getVersion"):
        versions["cublas"] = cublas.getVersion(cupy.cuda.device.get_cublas_handle())
    return versions
