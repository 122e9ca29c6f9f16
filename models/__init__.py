"""Network definitions: `from minicnn import models`."""

from minicnn.models.alexnet import AlexNet, alexnet
from minicnn.models.googlenet import GoogLeNet, googlenet, googlenet_cifar
from minicnn.models.vgg import VGG16, vgg16
from minicnn.nn import GoogLeNetOutput, total_loss

__all__ = [
    "AlexNet",
    "GoogLeNet",
    "GoogLeNetOutput",
    "VGG16",
    "alexnet",
    "googlenet",
    "googlenet_cifar",
    "total_loss",
    "vgg16",
]
