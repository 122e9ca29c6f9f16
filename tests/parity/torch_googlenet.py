"""GoogLeNet in PyTorch: what minicnn's is compared with, for its numbers and for its speed.

The network of 2014 (LRN, 5x5 convolutions, auxiliary heads, no batch normalisation), written down
independently of minicnn's: nothing is imported from there, so that a slip in either shows.

Images are (N, 3, H, W) and weights (CO, CI, KH, KW) and (out, in), as PyTorch has them; the parameters
have minicnn's names, and `load_weights` and `to_minicnn_layout` convert between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

# The way of an image through the trunk. Digits and a letter are an inception module, "aux" is a head
# that looks at what comes by there.
ROUTE_224 = "conv1 pool norm conv2_reduce conv2 norm pool 3a 3b pool 4a aux1 4b 4c 4d aux2 4e pool 5a 5b"
ROUTE_32 = "conv1 norm conv2_reduce conv2 norm pool 3a 3b pool 4a aux1 4b 4c 4d aux2 4e pool 5a 5b"

# Filters of the modules: 1x1; reduce and 3x3; reduce and 5x5; projection of the pool.
FILTERS = {
    "3a": ((64,), (96, 128), (16, 32), (32,)),
    "3b": ((128,), (128, 192), (32, 96), (64,)),
    "4a": ((192,), (96, 208), (16, 48), (64,)),
    "4b": ((160,), (112, 224), (24, 64), (64,)),
    "4c": ((128,), (128, 256), (24, 64), (64,)),
    "4d": ((112,), (144, 288), (32, 64), (64,)),
    "4e": ((256,), (160, 320), (32, 128), (128,)),
    "5a": ((256,), (160, 320), (32, 128), (128,)),
    "5b": ((384,), (192, 384), (48, 128), (128,)),
}

Activation = Callable[[Tensor], Tensor]


class InceptionModule(nn.Module):
    """One inception module."""

    def __init__(self, channels: int, filters: list[list[int]], activation: Activation) -> None:
        super().__init__()
        (one,), (reduce3, three), (reduce5, five), (projection,) = filters
        self.conv1x1 = nn.Conv2d(channels, one, kernel_size=1)
        self.conv3x3_reduce = nn.Conv2d(channels, reduce3, kernel_size=1)
        self.conv3x3 = nn.Conv2d(reduce3, three, kernel_size=3, padding="same")
        self.conv5x5_reduce = nn.Conv2d(channels, reduce5, kernel_size=1)
        self.conv5x5 = nn.Conv2d(reduce5, five, kernel_size=5, padding="same")
        self.pool = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.pool_proj = nn.Conv2d(channels, projection, kernel_size=1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        paths = [
            (self.conv1x1,),
            (self.conv3x3_reduce, self.conv3x3),
            (self.conv5x5_reduce, self.conv5x5),
            (self.pool, self.pool_proj),
        ]
        return torch.cat([self.along(path, x) for path in paths], dim=1)

    def along(self, path: tuple[nn.Module, ...], x: Tensor) -> Tensor:
        for layer in path:
            x = layer(x) if layer is self.pool else self.activation(layer(x))
        return x


class Head(nn.Module):
    """One auxiliary classifier."""

    def __init__(
        self, channels: int, side: int, filters: int, hidden: int, classes: int, activation: Activation
    ) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(kernel_size=5, stride=3)
        self.conv = nn.Conv2d(channels, filters, kernel_size=1)
        self.fc1 = nn.Linear(filters * side * side, hidden)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(hidden, classes)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.conv(self.pool(x)))
        x = x.movedim(1, 3).flatten(start_dim=1)  # minicnn's features run over rows, columns, channels
        return self.fc2(self.dropout(self.activation(self.fc1(x))))


class TorchGoogLeNet(nn.Module):
    """GoogLeNet for images of 224x224, or (small) of 32x32; returns logits, aux1, aux2.

    The heads run in training mode or when asked for; else they are None.
    """

    def __init__(
        self, small: bool, classes: int, width: float = 1.0, activation: Activation = torch.relu
    ) -> None:
        super().__init__()
        self.route = (ROUTE_32 if small else ROUTE_224).split()
        self.activation = activation
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.norm = nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0)

        def scale(count: int) -> int:
            return max(4, int(count * width))

        first, channels = scale(64), scale(192)
        geometry = (
            {"kernel_size": 3, "padding": 1} if small else {"kernel_size": 7, "stride": 2, "padding": 3}
        )
        self.conv1 = nn.Conv2d(3, first, **geometry)
        self.conv2_reduce = nn.Conv2d(first, first, kernel_size=1)
        self.conv2 = nn.Conv2d(first, channels, kernel_size=3, padding=1)
        for stop in self.route:
            if stop in FILTERS:
                filters = [[scale(count) for count in path] for path in FILTERS[stop]]
                self.add_module(f"inception{stop}", InceptionModule(channels, filters, activation))
                channels = sum(path[-1] for path in filters)
            elif stop.startswith("aux"):
                side = 2 if small else 4
                self.add_module(stop, Head(channels, side, scale(128), scale(1024), classes, activation))
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor, heads: bool | None = None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        run_heads = self.training if heads is None else heads
        seen_by_heads: list[Tensor | None] = []
        for stop in self.route:
            if stop.startswith("aux"):
                seen_by_heads.append(self.get_submodule(stop)(x) if run_heads else None)
            elif stop.startswith("conv"):
                x = self.activation(self.get_submodule(stop)(x))
            else:
                x = self.get_submodule(f"inception{stop}" if stop in FILTERS else stop)(x)
        aux1, aux2 = seen_by_heads
        return self.fc(self.dropout(x.mean(dim=(2, 3)))), aux1, aux2


def load_weights(network: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Give the network the weights of a minicnn model, all of them, in their dtype."""
    to_torch = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}
    network.load_state_dict(
        {name: torch.tensor(array.transpose(to_torch[array.ndim])) for name, array in state.items()},
        assign=True,
    )


def to_minicnn_layout(values: Tensor) -> np.ndarray:
    """Return a weight, bias or gradient of PyTorch's as an array in minicnn's layout."""
    to_minicnn = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
    return values.detach().numpy().transpose(to_minicnn[values.ndim])
