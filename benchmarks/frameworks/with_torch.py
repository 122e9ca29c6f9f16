"""GoogLeNet in PyTorch: the network that the parity tests compare minicnn's numbers with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.workloads import AUX_WEIGHT, LEARNING_RATE, MOMENTUM, Workload
from parity.torch_googlenet import TorchGoogLeNet, load_weights


def prepare(
    workload: Workload,
    weights: dict[str, np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    threads: int,
    channels_last: bool,
    tuned: bool = False,
) -> Callable[[], Any]:
    torch.set_num_threads(threads)
    network = make_network(workload, weights, hand_written_lrn=tuned)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    targets = torch.from_numpy(labels)
    sgd = torch.optim.SGD(
        network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True if tuned else None
    )

    def train() -> float:
        main, aux1, aux2 = (F.cross_entropy(head, targets) for head in network(x))
        loss = main + AUX_WEIGHT * (aux1 + aux2)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        return loss.item()

    @torch.inference_mode()
    def infer() -> np.ndarray:
        return network(x)[0].numpy()

    network.train(workload.training)
    return train if workload.training else infer


def make_network(
    workload: Workload, weights: dict[str, np.ndarray], hand_written_lrn: bool
) -> TorchGoogLeNet:
    """Make the network of a workload, without what dropout draws."""
    network = TorchGoogLeNet(workload.small, workload.classes, workload.width)
    load_weights(network, weights)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    if hand_written_lrn:
        network.norm = HandWrittenLRN()
    return network


class HandWrittenLRN(torch.nn.Module):
    """What somebody who needs speed writes: PyTorch's own LRN is an average pooling over volumes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _HandWrittenLRN.apply(x)


class _HandWrittenLRN(torch.autograd.Function):
    """y = x * s**-0.75 with s = 1 + 1e-4/5 * (sum of the squares of five neighbouring channels)."""

    FACTOR = 1e-4 / 5

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        s = sum_of_five(x * x).mul_(_HandWrittenLRN.FACTOR).add_(1.0)
        root = s.rsqrt()
        scale = root.sqrt().mul_(root)
        context.save_for_backward(x, s, scale)
        return x * scale

    @staticmethod
    def backward(context: Any, gy: torch.Tensor) -> torch.Tensor:
        x, s, scale = context.saved_tensors
        gx = gy * scale
        return gx.addcmul_(x, sum_of_five(gx * x / s), value=-2 * 0.75 * _HandWrittenLRN.FACTOR)


def sum_of_five(values: torch.Tensor) -> torch.Tensor:
    """Add to each channel its two neighbours on either side."""
    total = values.clone()
    for distance in (1, 2):
        total[:, distance:] += values[:, :-distance]
        total[:, :-distance] += values[:, distance:]
    return total
