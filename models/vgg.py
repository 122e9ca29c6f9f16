"""VGG-16: what GoogLeNet is compared with.

Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014, table 1,
column D: 3x3 convolutions only, in five stages with a max pooling 2x2 after each.
"""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.models.chain import Chain

STAGES = (
    # filters, convolutions
    (64, 2),  # 224
    (128, 2),  # 112
    (256, 3),  # 56
    (512, 3),  # 28
    (512, 3),  # 14, and 7 after the last pooling
)


class VGG16(Chain):
    """VGG-16. Made by `vgg16`.

    Attributes
    ----------
    input_size : (int, int, int)
        (H, W, 3) of the images it is made for.
    """

    input_size = (224, 224, 3)

    def __init__(
        self, num_classes: int = 1000, blank: bool = False, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(blank, rng)
        channels = 3
        for stage, (filters, convolutions) in enumerate(STAGES, start=1):
            for number in range(1, convolutions + 1):
                self.add_convolution(f"conv{stage}_{number}", channels, filters, 3, padding=1)
                channels = filters
            setattr(self, f"pool{stage}", nn.MaxPool2d(2))
        self.add_classifier(7 * 7 * channels, num_classes)  # 25,088 inputs


def vgg16(num_classes: int = 1000, blank: bool = False, rng: np.random.Generator | None = None) -> VGG16:
    """Make VGG-16 for images of 224x224x3.

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
    >>> vgg16(blank=True).num_parameters()
    138357544
    """
    return VGG16(num_classes, blank, rng)
