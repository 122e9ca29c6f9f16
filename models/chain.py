"""Networks of one layer after the other, which can also be made without memory for their weights."""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.nn.layers import Activation
from minicnn.random import checked_generator
from minicnn.tensor import Tensor


class Chain(nn.Module):
    """Runs its layers in the order in which they were added.

    Parameters
    ----------
    blank : bool
        Whether all weights are zeros that take next to no memory: for counting them, not for training.
    rng : numpy.random.Generator, optional
        For the initial weights and the dropout; left out, a fresh generator.
    """

    def __init__(self, blank: bool, rng: np.random.Generator | None) -> None:
        super().__init__()
        self.blank = blank
        self._rng = checked_generator(rng)

    def add_convolution(
        self, name: str, channels: int, filters: int, kernel: int, stride: int = 1, padding: int = 0,
        groups: int = 1,
    ) -> None:  # fmt: skip
        """Add a convolution with ReLU."""
        if not self.blank:
            layer = nn.Conv2d(
                channels, filters, kernel, stride, padding, groups, activation="relu", rng=self._rng
            )
        else:
            layer = nn.Conv2d(groups, groups, 1, stride, padding, groups, activation="relu", rng=self._rng)
            layer.weight = nn.Parameter(np.zeros((kernel, kernel, channels // groups, filters), np.float32))
            layer.bias = nn.Parameter(np.zeros(filters, np.float32))
        setattr(self, name, layer)

    def add_linear(self, name: str, inputs: int, outputs: int, activation: Activation | None) -> None:
        """Add a fully connected layer.

        A blank one would be the largest array by far: 411 MB in VGG-16. But an array is a shape, a place in
        memory, and for each axis the step to the next element. With steps of zero, all elements are one and
        the same number: every op reads a matrix of the right shape, and four bytes are all there is.
        """
        if not self.blank:
            layer = nn.Linear(inputs, outputs, activation=activation, rng=self._rng)
        else:
            layer = nn.Linear(1, 1, activation=activation, rng=self._rng)
            layer.weight = nn.Parameter(np.broadcast_to(np.float32(0), (inputs, outputs)))
            layer.bias = nn.Parameter(np.zeros(outputs, np.float32))
        setattr(self, name, layer)

    def add_dropout(self, name: str) -> None:
        """Add dropout of one half."""
        setattr(self, name, nn.Dropout(0.5, rng=self._rng))

    def add_classifier(self, inputs: int, num_classes: int) -> None:
        """Add the three fully connected layers, 4096 wide, that AlexNet and VGG-16 end with."""
        self.flatten = nn.Flatten()
        self.add_linear("fc6", inputs, 4096, "relu")
        self.add_dropout("dropout6")
        self.add_linear("fc7", 4096, 4096, "relu")
        self.add_dropout("dropout7")
        self.add_linear("fc8", 4096, num_classes, None)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, H, W, 3) to logits (N, classes)."""
        for _, layer in self.children():
            x = layer(x)
        return x
