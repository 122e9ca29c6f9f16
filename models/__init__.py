"""Network definitions: `from minicnn import models`."""

from minicnn.models.googlenet import GoogLeNet, googlenet, googlenet_cifar
from minicnn.nn import GoogLeNetOutput, total_loss

__all__ = ["GoogLeNet", "GoogLeNetOutput", "googlenet", "googlenet_cifar", "total_loss"]
