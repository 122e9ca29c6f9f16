"""The auxiliary classifier that injects gradient into the middle of GoogLeNet.

    (N, 14, 14, C)   average pool 5x5/3     (N, 4, 4, C)
                     1x1 convolution, ReLU  (N, 4, 4, 128)
                     fully connected, ReLU  (N, 1024)
                     dropout 70%
                     fully connected        (N, classes)

It makes the layers below it tell the classes apart on their own, and what it sends back reaches them
without having travelled the upper half of the network. After training it is thrown away.

Szegedy et al., "Going deeper with convolutions", 2014, section 5.
"""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn.nn.layers import Activation, AvgPool2d, Conv2d, Dropout, Linear
from minicnn.nn.module import Module
from minicnn.random import checked_generator
from minicnn.tensor import Tensor


class AuxiliaryHead(Module):
    """A small classifier on the output of an inception module.

    Parameters
    ----------
    in_channels : int
        C.
    pooled_size : int
        Height and width after the average pooling: 4 in the 14x14 stage of GoogLeNet.
    num_classes : int
        Number of classes.
    conv_channels, hidden : int
        Filters of the 1x1 convolution, and units of the fully connected layer.
    activation : "relu", "sigmoid" or "tanh", default="relu"
        After the convolution and the first fully connected layer.
    rng : numpy.random.Generator, optional
        For the initial weights and the dropout; left out, a fresh generator.
    """

    def __init__(
        self,
        in_channels: int,
        pooled_size: int,
        num_classes: int,
        conv_channels: int = 128,
        hidden: int = 1024,
        activation: Activation = "relu",
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        rng = checked_generator(rng)
        self.pool = AvgPool2d(5, stride=3)
        self.conv = Conv2d(in_channels, conv_channels, 1, activation=activation, rng=rng)
        self.fc1 = Linear(conv_channels * pooled_size**2, hidden, activation=activation, rng=rng)
        self.dropout = Dropout(0.7, rng=rng)
        self.fc2 = Linear(hidden, num_classes, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to logits (N, classes)."""
        x = self.conv(self.pool(x))
        return self.fc2(self.dropout(self.fc1(F.flatten(x))))
