"""PyTorch's steps on a GPU: channels-last, cuDNN with its benchmark mode, the network of the parity tests.

All switches are set before each step, because they belong to the whole process.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.frameworks.with_torch import make_network
from benchmarks.workloads import AUX_WEIGHT, LEARNING_RATE, MOMENTUM, Workload

WARM_UPS = 3  # before a capture: cuDNN chooses its algorithms, the optimizer makes its arrays


class TorchSteps:
    """A network that takes steps.

    Parameters
    ----------
    workload, weights, precision
        As for MinicnnSteps.
    fused : bool
        Whether SGD is one kernel; as installed it is a few (`foreach`).
    hand_written_lrn : bool
        Instead of PyTorch's own, which is slow.
    captured : bool
        Whether the whole step is captured as a CUDA graph, which PyTorch leaves to its users.
    device : str
        "cpu" to see that this file runs.
    """

    def __init__(
        self,
        workload: Workload,
        weights: dict[str, np.ndarray],
        precision: str,
        fused: bool = False,
        hand_written_lrn: bool = False,
        captured: bool = False,
        device: str = "cuda",
    ) -> None:
        self.tf32 = precision == "TF32"
        self.is_on_gpu = device != "cpu"
        set_switches(self.tf32)
        self._reserved_before = 0
        if self.is_on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._reserved_before = torch.cuda.memory_reserved()
        network = make_network(workload, weights, hand_written_lrn)
        self.network = network.to(device, memory_format=torch.channels_last).train(workload.training)
        images, labels = workload.images_and_labels()
        self.images = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)  # channels-last already
        self.labels = torch.from_numpy(labels).to(device)
        self.sgd = torch.optim.SGD(
            network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=fused or None
        )
        self._compute = self._train if workload.training else self._infer
        self._uncaptured_steps = WARM_UPS if captured else None
        self._graph: Any = None
        self._result: Any = None
        self._stream = torch.cuda.Stream() if captured else None

    def step(self) -> torch.Tensor:
        """Take a step; return its loss or logits, which lie on the GPU."""
        set_switches(self.tf32)
        if self._uncaptured_steps is None:
            return self._compute()
        if self._uncaptured_steps > 0:
            self._uncaptured_steps -= 1
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                result = self._compute()
            torch.cuda.current_stream().wait_stream(self._stream)
            return result
        if self._graph is None:
            self.sgd.zero_grad(set_to_none=True)
            torch.cuda.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._result = self._compute()
        self._graph.replay()
        return self._result

    def read(self, result: torch.Tensor) -> np.ndarray:
        """Bring a result to the CPU."""
        return result.detach().cpu().numpy()

    def memory_bytes(self) -> int:
        """Return what it has taken of the GPU's memory, at most."""
        return torch.cuda.max_memory_reserved() - self._reserved_before if self.is_on_gpu else 0

    def _train(self) -> torch.Tensor:
        main, aux1, aux2 = (F.cross_entropy(head, self.labels) for head in self.network(self.images))
        loss = main + AUX_WEIGHT * (aux1 + aux2)
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return loss.detach()

    @torch.no_grad()
    def _infer(self) -> torch.Tensor:
        return self.network(self.images)[0]


def set_switches(tf32: bool) -> None:
    """Choose the precision of products and of convolutions, which have a switch each; and benchmark mode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions have new names for them
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
