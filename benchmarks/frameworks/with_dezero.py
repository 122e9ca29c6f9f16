"""GoogLeNet in DeZero, the framework of a textbook: NumPy and im2col like minicnn, without its tiles.

DeZero has no LRN, so the network goes without, and its losses are compared with minicnn's without LRN. It has
no concatenation either and no pooling that rounds up; both are written here as functions of DeZero's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import AUX_WEIGHT, LEARNING_RATE, MOMENTUM, Workload

np.int = int  # noqa: NPY001 - DeZero is of 2020 and uses a name that NumPy has dropped since

import dezero  # noqa: E402
import dezero.functions as F  # noqa: E402
from dezero.functions_conv import average_pooling, conv2d, pooling  # noqa: E402
from dezero.optimizers import MomentumSGD  # noqa: E402

TRUNK = ("3a", "3b", "pool", "4a", "aux1", "4b", "4c", "4d", "aux2", "4e", "pool", "5a", "5b")
LAYOUT = {1: (0,), 2: (0, 1), 4: (3, 2, 0, 1)}  # images are (N, C, H, W), kernels (CO, CI, KH, KW)


def prepare(
    workload: Workload, weights: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray, threads: int
) -> Callable[[], Any]:
    # NumPy took the number of threads from the environment when it was imported.
    network = GoogLeNet(weights, workload.small)
    sgd = MomentumSGD(LEARNING_RATE, MOMENTUM).setup(network)
    x = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    targets = labels.astype(np.int16)  # wider integers would turn DeZero's gradients into float64

    def train() -> float:
        main, *heads = (F.softmax_cross_entropy(head, targets) for head in network(x, heads=True))
        loss = main
        for head in heads:
            loss = loss + head * np.float32(AUX_WEIGHT)
        network.cleargrads()
        loss.backward()
        assert all(p.grad.dtype == np.float32 for p in network.params()), "expected float32 throughout"
        sgd.update()
        return float(loss.data)

    def infer() -> np.ndarray:
        return network(x, heads=False)[0].data

    with_mode = contextlib.nullcontext if workload.training else dezero.no_grad

    def step() -> Any:
        with with_mode():
            return train() if workload.training else infer()

    return step


class GoogLeNet(dezero.Layer):
    """The network; a parameter of each name that minicnn has."""

    def __init__(self, weights: dict[str, np.ndarray], small: bool) -> None:
        super().__init__()
        self.small = small
        for name, array in weights.items():
            setattr(self, name, dezero.Parameter(np.ascontiguousarray(array.transpose(LAYOUT[array.ndim]))))

    def __call__(self, x: np.ndarray, heads: bool) -> list[dezero.Variable]:
        x = self.conv("conv1", x, 1, 1) if self.small else pool(self.conv("conv1", x, 2, 3))
        x = pool(self.conv("conv2", self.conv("conv2_reduce", x), pad=1))
        logits = []
        for stop in TRUNK:
            if stop == "pool":
                x = pool(x)
            elif stop.startswith("aux"):
                logits += [self.head(stop, x)] if heads else []
            else:
                x = self.inception(f"inception{stop}", x)
        x = average_pooling(x, x.shape[2])
        return [self.linear("fc", F.reshape(x, x.shape[:2])), *logits]

    def conv(self, name: str, x: dezero.Variable, stride: int = 1, pad: int = 0) -> dezero.Variable:
        return F.relu(conv2d(x, vars(self)[f"{name}.weight"], vars(self)[f"{name}.bias"], stride, pad))

    def linear(self, name: str, x: dezero.Variable) -> dezero.Variable:
        return F.linear(x, vars(self)[f"{name}.weight"], vars(self)[f"{name}.bias"])

    def inception(self, name: str, x: dezero.Variable) -> dezero.Variable:
        return Concat()(
            self.conv(f"{name}.conv1x1", x),
            self.conv(f"{name}.conv3x3", self.conv(f"{name}.conv3x3_reduce", x), pad=1),
            self.conv(f"{name}.conv5x5", self.conv(f"{name}.conv5x5_reduce", x), pad=2),
            self.conv(f"{name}.pool_proj", pooling(x, 3, 1, 1)),
        )

    def head(self, name: str, x: dezero.Variable) -> dezero.Variable:
        x = self.conv(f"{name}.conv", average_pooling(x, 5, 3))
        x = F.transpose(x, (0, 2, 3, 1))  # minicnn's features run over rows, columns, channels
        return self.linear(f"{name}.fc2", F.relu(self.linear(f"{name}.fc1", F.flatten(x))))


def pool(x: dezero.Variable) -> dezero.Variable:
    """3x3/2, the size rounded up: a row and a column of zeros count for nothing after a ReLU."""
    return pooling(RowAndColumnOfZeros()(x), 3, 2)


class Concat(dezero.Function):
    """Join channels."""

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        self.ends = np.cumsum([x.shape[1] for x in xs])[:-1]
        return np.concatenate(xs, axis=1)

    def backward(self, gy: dezero.Variable) -> tuple[dezero.Variable, ...]:
        return tuple(dezero.Variable(g) for g in np.split(gy.data, self.ends, axis=1))


class RowAndColumnOfZeros(dezero.Function):
    """Add a row below and a column to the right."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)))

    def backward(self, gy: dezero.Variable) -> dezero.Variable:
        return dezero.Variable(gy.data[:, :, :-1, :-1])
