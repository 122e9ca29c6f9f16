"""AlexNet as published, with its groups: what GoogLeNet is compared with.

Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012. The
paper's images of 224x224 do not give its first layer's 55x55 outputs; 227x227, as in Caffe, do. Its LRN has
k = 2 and an alpha that is not divided by the size, which is 5 * 1e-4 by our convention.
"""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.models.chain import Chain

CONVOLUTIONS = {
    #        filters kernel stride padding groups
    "conv1": (  96,    11,    4,     0,      1),  # 227 -> 55
    "conv2": ( 256,     5,    1,     2,      2),  # 27: the two halves were on two GPUs
    "conv3": ( 384,     3,    1,     1,      1),  # 13
    "conv4": ( 384,     3,    1,     1,      2),
    "conv5": ( 256,     3,    1,     1,      2),
}  # fmt: skip
NORMALISED = ("conv1", "conv2")
POOLED = ("conv1", "conv2", "conv5")  # 55 -> 27, 27 -> 13, 13 -> 6


class AlexNet(Chain):
    """AlexNet. Made by `alexnet`.

    Attributes
    ----------
    input_size : (int, int, int)
        (H, W, 3) of the images it is made for.
    """

    input_size = (227, 227, 3)

    def __init__(
        self, num_classes: int = 1000, blank: bool = False, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(blank, rng)
        channels = 3
        for name, (filters, kernel, stride, padding, groups) in CONVOLUTIONS.items():
            self.add_convolution(name, channels, filters, kernel, stride, padding, groups)
            number, channels = name[-1], filters
            if name in NORMALISED:
                setattr(self, f"norm{number}", nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
            if name in POOLED:
                setattr(self, f"pool{number}", nn.MaxPool2d(3, stride=2))
        self.add_classifier(6 * 6 * channels, num_classes)  # 9216 inputs


def alexnet(num_classes: int = 1000, blank: bool = False, rng: np.random.Generator | None = None) -> AlexNet:
    """Make AlexNet for images of 227x227x3.

    Parameters
    ----------
    num_classes : int, default=1000
        Number of classes.
    blank : bool, default=False
        Whether the weights are zeros that take next to no memory: for counting them, not for training.
    rng : numpy.random.Generator, optional
        For the initial weights and the dropout; left out, a fresh generator.

    Examples
    --------
    >>> alexnet(blank=True).num_parameters()
    60965224
    """
    return AlexNet(num_classes, blank, rng)
