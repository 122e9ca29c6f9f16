"""Who is compared on a GPU."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.workloads import Workload


@dataclass(frozen=True)
class GpuContender:
    """A framework and how it takes its steps.

    Attributes
    ----------
    name, title : str
    steps : str
        The class of benchmarks.gpu that takes them: "module.Class".
    options : mapping
        For its constructor.
    is_rival : bool
        Whether minicnn has to be at least as fast: PyTorch as people use it, without a graph made by hand.
    training_only : bool
        Whether its options make no difference to inference.
    float32_only : bool
        Whether they make none to TF32.
    """

    name: str
    title: str
    steps: str
    options: Mapping[str, Any] = field(default_factory=dict)
    is_rival: bool = False
    training_only: bool = False
    float32_only: bool = False

    def differs(self, training: bool, precision: str) -> bool:
        """Tell whether it does not repeat another contender."""
        return (training or not self.training_only) and (precision == "float32" or not self.float32_only)

    def prepare(self, workload: Workload, weights: dict[str, np.ndarray], precision: str) -> Any:
        """Build the network."""
        module, _, name = self.steps.partition(".")
        steps = getattr(importlib.import_module(f"benchmarks.gpu.{module}"), name)
        return steps(workload, weights, precision, **self.options)


MINICNN = GpuContender("minicnn", "minicnn", "minicnn_steps.MinicnnSteps")
MINICNN_EAGER = GpuContender(
    "minicnn-eager", "minicnn, not recorded", "minicnn_steps.MinicnnSteps", {"recorded": False}
)
MINICNN_IM2COL = GpuContender(
    "minicnn-im2col",
    "minicnn, im2col only",
    "minicnn_steps.MinicnnSteps",
    {"winograd": False},
    float32_only=True,
)
TORCH = (
    GpuContender("torch", "PyTorch, as installed", "torch_steps.TorchSteps", is_rival=True),
    GpuContender(
        "torch-fused", "PyTorch, fused SGD", "torch_steps.TorchSteps", {"fused": True}, is_rival=True,
        training_only=True
    ),
    GpuContender(
        "torch-lrn", "PyTorch, fused SGD, hand-written LRN", "torch_steps.TorchSteps",
        {"fused": True, "hand_written_lrn": True},
    ),
    GpuContender(
        "torch-graph", "PyTorch, fused SGD, as a CUDA graph", "torch_steps.TorchSteps",
        {"fused": True, "captured": True},
    ),
)  # fmt: skip


def contenders(training: bool, precision: str) -> list[GpuContender]:
    """List minicnn, first, and those that are installed."""
    others = TORCH if has_torch() else ()
    return [c for c in (MINICNN, MINICNN_EAGER, MINICNN_IM2COL, *others) if c.differs(training, precision)]


def has_torch() -> bool:
    """Tell whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def load_libraries() -> None:
    """Load PyTorch before CuPy: both bring cuBLAS, and PyTorch insists on its own."""
    if has_torch():
        importlib.import_module("torch")
