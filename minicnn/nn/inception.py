"""The inception module, and the naive one it grew out of.

                          input (N, H, W, C)
          ┌───────────────┬───────┴────────┬────────────────┐
          │          conv3x3_reduce   conv5x5_reduce     max pool
       conv1x1            │                │              3x3/1
          │            conv3x3          conv5x5         pool_proj
          └───────────────┴───────┬────────┴────────────────┘
                        concat over the channels

Each branch keeps H and W, so the outputs fit side by side. ReLU follows every convolution. In the backward
pass concat cuts the gradient into four, and the module's input receives the sum of what comes back through
the four branches: the same object is seen at four scales, and all four have a say.

Szegedy et al., "Going deeper with convolutions", 2014, figure 2.
"""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn.nn.layers import Activation, Conv2d, MaxPool2d
from minicnn.nn.module import Module
from minicnn.random import checked_generator
from minicnn.tensor import Tensor, fusion_enabled


class Inception(Module):
    """Inception module with 1x1 reductions (figure 2b of the paper).

    Parameters
    ----------
    in_channels : int
        C.
    c1x1, c3x3_reduce, c3x3, c5x5_reduce, c5x5, pool_proj : int
        Filters of each convolution, in the order of the paper's table.
    activation : "relu", "sigmoid" or "tanh", default="relu"
        After every convolution.
    rng : numpy.random.Generator, optional
        For the initial weights; left out, a fresh generator.

    Attributes
    ----------
    out_channels : int
        c1x1 + c3x3 + c5x5 + pool_proj.

    Examples
    --------
    >>> inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
    >>> inception3a.out_channels, inception3a.num_parameters()
    (256, 163696)
    """

    def __init__(
        self,
        in_channels: int,
        c1x1: int,
        c3x3_reduce: int,
        c3x3: int,
        c5x5_reduce: int,
        c5x5: int,
        pool_proj: int,
        activation: Activation = "relu",
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        rng = checked_generator(rng)
        self.activation = activation
        self.conv1x1 = Conv2d(in_channels, c1x1, 1, activation=activation, rng=rng)
        self.conv3x3_reduce = Conv2d(in_channels, c3x3_reduce, 1, activation=activation, rng=rng)
        self.conv3x3 = Conv2d(c3x3_reduce, c3x3, 3, padding=1, activation=activation, rng=rng)
        self.conv5x5_reduce = Conv2d(in_channels, c5x5_reduce, 1, activation=activation, rng=rng)
        self.conv5x5 = Conv2d(c5x5_reduce, c5x5, 5, padding=2, activation=activation, rng=rng)
        self.pool = MaxPool2d(3, stride=1, padding=1)
        self.pool_proj = Conv2d(in_channels, pool_proj, 1, activation=activation, rng=rng)
        self.out_channels = c1x1 + c3x3 + c5x5 + pool_proj

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, H, W, out_channels)."""
        if fusion_enabled() and self.activation == "relu":
            return F.inception(x, *self.parameters())  # in the order of their definition, as above
        branches = [
            self.conv1x1(x),
            self.conv3x3(self.conv3x3_reduce(x)),
            self.conv5x5(self.conv5x5_reduce(x)),
            self.pool_proj(self.pool(x)),
        ]
        return F.concat(branches)


class NaiveInception(Module):
    """Inception module without reductions (figure 2a of the paper), for comparison.

    The pooling branch hands on all its input channels, so the output is always deeper than the input;
    and the 3x3 and 5x5 filters see all of them.

    Parameters
    ----------
    in_channels : int
        C.
    c1x1, c3x3, c5x5 : int
        Filters of each convolution.
    activation : "relu", "sigmoid" or "tanh", default="relu"
        After every convolution.
    rng : numpy.random.Generator, optional
        For the initial weights; left out, a fresh generator.

    Attributes
    ----------
    out_channels : int
        c1x1 + c3x3 + c5x5 + in_channels.

    Examples
    --------
    >>> NaiveInception(256, 128, 192, 96).out_channels
    672
    """

    def __init__(
        self,
        in_channels: int,
        c1x1: int,
        c3x3: int,
        c5x5: int,
        activation: Activation = "relu",
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        rng = checked_generator(rng)
        self.conv1x1 = Conv2d(in_channels, c1x1, 1, activation=activation, rng=rng)
        self.conv3x3 = Conv2d(in_channels, c3x3, 3, padding=1, activation=activation, rng=rng)
        self.conv5x5 = Conv2d(in_channels, c5x5, 5, padding=2, activation=activation, rng=rng)
        self.pool = MaxPool2d(3, stride=1, padding=1)
        self.out_channels = c1x1 + c3x3 + c5x5 + in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, H, W, out_channels)."""
        return F.concat([self.conv1x1(x), self.conv3x3(x), self.conv5x5(x), self.pool(x)])
