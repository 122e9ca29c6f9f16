"""minicnn's steps on a GPU, as it records them and one op after the other.

Nobody reads the loss between two steps, neither here nor in torch_steps.py: that would be measured, too.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

import minicnn
from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.workloads import AUX_WEIGHT, LEARNING_RATE, MOMENTUM, Workload
from minicnn import Tensor, models, nn, no_grad, optim, set_float32_matmul_precision
from minicnn.backend import to_device, to_numpy, use_device
from minicnn.cuda.graph import RecordedFunction
from minicnn.parallel import on_device_of

PRECISIONS = {"float32": "highest", "TF32": "high"}


class MinicnnSteps:
    """A network that takes steps.

    Parameters
    ----------
    workload : Workload
    weights : dict of str to array
        What it begins with, by minicnn's names.
    precision : "float32" or "TF32"
    recorded : bool
        Whether steps are recorded as a graph and replayed, as in training.
    winograd : bool
        Whether 3x3 convolutions in float32 may be done by Winograd's algorithm, as they are in training.
    """

    def __init__(
        self,
        workload: Workload,
        weights: dict[str, np.ndarray],
        precision: str,
        recorded: bool = True,
        winograd: bool = True,
    ) -> None:
        use_device("cuda")
        self.algorithms = nullcontext if winograd else minicnn.no_winograd
        self.precision = PRECISIONS[precision]
        self._reserved_before = reserved_bytes()
        network = make_network(workload)
        network.load_state_dict(weights)
        for _, module in network.named_modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        self.network = network.to("cuda").train(workload.training)
        self.sgd = optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
        self.images, self.labels = (to_device(array, "cuda") for array in workload.images_and_labels())
        compute: Callable[..., tuple[Any]] = self._train if workload.training else self._infer
        before_replay = self.sgd.send_rates if workload.training else lambda: None
        self._recorded = RecordedFunction(compute, before_replay) if recorded else None
        self._step = self._recorded or compute

    def step(self) -> Any:
        """Take a step; return its loss or logits, which lie on the GPU."""
        set_float32_matmul_precision(self.precision)
        with minicnn.pinned_blas(), on_device_of(self.images), self.algorithms():
            return self._step(images=self.images, labels=self.labels)[0]

    def read(self, result: Any) -> np.ndarray:
        """Bring a result to the CPU."""
        return to_numpy(result)

    def memory_bytes(self) -> int:
        """Return what it has taken of the GPU's memory."""
        own = self._recorded.pool.total_bytes() if self._recorded else 0
        return int(reserved_bytes() - self._reserved_before + own)

    def _train(self, images: Any, labels: Any) -> tuple[Any]:
        loss = models.total_loss(self.network(Tensor(images)), labels, AUX_WEIGHT)
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return (loss.data,)

    def _infer(self, images: Any, labels: Any) -> tuple[Any]:
        with no_grad():
            return (self.network(Tensor(images)).logits.data,)


def give_back() -> None:
    """Give back the memory of steps that nobody uses any more; they refer to themselves, and would stay."""
    gc.collect()
    reserved_bytes()


def reserved_bytes() -> int:
    """Return what CuPy's usual pool has taken from the GPU, without what nobody uses any more."""
    pool = sys.modules["cupy"].get_default_memory_pool()
    pool.free_all_blocks()
    return int(pool.total_bytes())
