"""GoogLeNet (Inception v1) as published, at 224x224 and as a small network for 32x32 images.

Szegedy et al., "Going deeper with convolutions", 2014, table 1, with the details that the paper leaves open
(padding, LRN constants, rounding of pooling sizes) as in Caffe's bvlc_googlenet. Deviations from the paper,
and the misprints of its table, are listed in docs/googlenet.md.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn import nn
from minicnn.errors import ShapeError, UsageError
from minicnn.nn.layers import Activation
from minicnn.nn.schemes import Scheme
from minicnn.random import checked_generator
from minicnn.tensor import Tensor

# Filters of each inception module; the columns are those of the paper's table 1.
INCEPTION_WIDTHS = {
    #      1x1  3x3r  3x3  5x5r  5x5  pool
    "3a": ( 64,   96, 128,   16,  32,   32),
    "3b": (128,  128, 192,   32,  96,   64),
    "4a": (192,   96, 208,   16,  48,   64),
    "4b": (160,  112, 224,   24,  64,   64),
    "4c": (128,  128, 256,   24,  64,   64),
    "4d": (112,  144, 288,   32,  64,   64),
    "4e": (256,  160, 320,   32, 128,  128),
    "5a": (256,  160, 320,   32, 128,  128),
    "5b": (384,  192, 384,   48, 128,  128),
}  # fmt: skip


class GoogLeNet(nn.Module):
    """GoogLeNet. Made by `googlenet` or `googlenet_cifar`.

    Parameters
    ----------
    small : bool
        For images of 32x32 instead of 224x224: conv1 is 3x3/1 and no pooling follows it, so that the
        inception stages work at 16x16, 8x8 and 4x4 instead of 28x28, 14x14 and 7x7.
    num_classes : int
        Number of classes.
    width : float
        Factor on every channel count, those of the heads included: max(4, int(c * width)).
    aux : bool
        Whether there are auxiliary heads.
    activation : "relu", "sigmoid" or "tanh"
        After every convolution.
    rng : numpy.random.Generator, optional
        For the initial weights and the dropout; left out, a fresh generator.

    Attributes
    ----------
    input_size : (int, int, int)
        (H, W, 3) of the images it is made for.
    num_classes : int
        Number of classes.
    """

    def __init__(
        self,
        small: bool,
        num_classes: int,
        width: float = 1.0,
        aux: bool = True,
        activation: Activation = "relu",
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        rng = checked_generator(rng)
        if activation is None:
            raise UsageError("GoogLeNet: activation: expected relu, sigmoid or tanh, got None")
        self.input_size = (32, 32, 3) if small else (224, 224, 3)
        self.num_classes = num_classes
        head_size = 2 if small else 4  # the stage of 4a to 4d, after the heads' 5x5/3 pooling

        def scaled(channels: int) -> int:
            return max(4, int(channels * width))

        def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel, stride, padding, activation=activation, rng=rng)

        def inception(inputs: int, row: str) -> nn.Inception:
            c1x1, c3x3_reduce, c3x3, c5x5_reduce, c5x5, pool_proj = map(scaled, INCEPTION_WIDTHS[row])
            return nn.Inception(
                inputs, c1x1, c3x3_reduce, c3x3, c5x5_reduce, c5x5, pool_proj, activation, rng
            )

        def head(inputs: int) -> nn.AuxiliaryHead | None:
            if not aux:
                return None
            return nn.AuxiliaryHead(
                inputs, head_size, num_classes, scaled(128), scaled(1024), activation=activation, rng=rng
            )

        c1, c2 = scaled(64), scaled(192)
        self.conv1 = conv(3, c1, 3, padding=1) if small else conv(3, c1, 7, stride=2, padding=3)
        self.pool1 = None if small else nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        self.conv2_reduce = conv(c1, c1, 1)
        self.conv2 = conv(c1, c2, 3, padding=1)
        self.norm2 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = inception(c2, "3a")
        self.inception3b = inception(self.inception3a.out_channels, "3b")
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = inception(self.inception3b.out_channels, "4a")
        self.aux1 = head(self.inception4a.out_channels)
        self.inception4b = inception(self.inception4a.out_channels, "4b")
        self.inception4c = inception(self.inception4b.out_channels, "4c")
        self.inception4d = inception(self.inception4c.out_channels, "4d")
        self.aux2 = head(self.inception4d.out_channels)
        self.inception4e = inception(self.inception4d.out_channels, "4e")
        self.pool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception5a = inception(self.inception4e.out_channels, "5a")
        self.inception5b = inception(self.inception5a.out_channels, "5b")
        self.global_pool: nn.Module = nn.GlobalAvgPool2d()
        self.dropout = nn.Dropout(0.4, rng=rng)
        self.fc = nn.Linear(self.inception5b.out_channels, num_classes, rng=rng)

    def forward(self, x: Tensor, heads: bool | None = None) -> nn.GoogLeNetOutput:
        """Compute the logits of the main classifier and of the heads.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, 3)
            Images with the mean subtracted.
        heads : bool, optional
            Whether to run the auxiliary heads; left out, they run in training mode.

        Returns
        -------
        GoogLeNetOutput
            `logits`, `aux1` and `aux2`, each (N, classes); the heads None where they were not run.

        Raises
        ------
        ShapeError
            If x is no batch of colour images of the size this network is made for.
        UsageError
            If heads are asked for that this network does not have.
        """
        if heads and self.aux1 is None:
            raise UsageError("GoogLeNet: heads=True, but this network was made without heads (aux=False)")
        run_heads = self.aux1 is not None and (self.training if heads is None else heads)
        H, W, _ = self.input_size
        if x.ndim != 4 or x.shape[3] != 3 or (run_heads and x.shape[1:3] != (H, W)):
            size = f"{H}, {W}" if run_heads else "H, W"
            raise ShapeError(f"GoogLeNet: x: expected images of shape (N, {size}, 3), got {x.shape}")

        # Shapes in comments: height and width of the 224 network, then of the small one.
        x = self.conv1(x)  # 112, 32
        x = x if self.pool1 is None else self.pool1(x)  # 56, 32
        x = self.norm1(x)
        x = self.conv2(self.conv2_reduce(x))
        x = self.pool2(self.norm2(x))  # 28, 16
        x = self.inception3b(self.inception3a(x))
        x = self.pool3(x)  # 14, 8
        x = self.inception4a(x)
        aux1 = self.aux1(x) if self.aux1 and run_heads else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if self.aux2 and run_heads else None
        x = self.inception4e(x)
        x = self.pool4(x)  # 7, 4
        x = self.inception5b(self.inception5a(x))
        x = self.global_pool(x)  # (N, C)
        return nn.GoogLeNetOutput(self.fc(self.dropout(x)), aux1, aux2)


def googlenet(
    num_classes: int = 1000,
    aux: bool = True,
    activation: Activation = "relu",
    rng: np.random.Generator | None = None,
    initialisation: Scheme = "he",
) -> GoogLeNet:
    """Make GoogLeNet for images of 224x224x3, as published.

    Parameters
    ----------
    num_classes : int, default=1000
        Number of classes.
    aux : bool, default=True
        Whether there are auxiliary heads.
    activation : "relu", "sigmoid" or "tanh", default="relu"
        After every convolution.
    rng : numpy.random.Generator, optional
        For the initial weights and the dropout; left out, a fresh generator.
    initialisation : "he", "glorot", "caffe" or "zero", default="he"
        See `nn.initialise`.

    Returns
    -------
    GoogLeNet
        In training mode.

    Examples
    --------
    >>> googlenet(aux=False).num_parameters()
    6998552
    """
    model = GoogLeNet(False, num_classes, aux=aux, activation=activation, rng=rng)
    nn.initialise(model, initialisation, rng)
    return model


def googlenet_cifar(
    num_classes: int = 10,
    width: float = 1.0,
    aux: bool = True,
    activation: Activation = "relu",
    rng: np.random.Generator | None = None,
    initialisation: Scheme = "he",
) -> GoogLeNet:
    """Make the small GoogLeNet for images of 32x32x3.

    Parameters
    ----------
    num_classes : int, default=10
        Number of classes.
    width : float, default=1.0
        Factor on every channel count, those of the heads included: max(4, int(c * width)).
    aux, activation, rng, initialisation
        As for `googlenet`.

    Returns
    -------
    GoogLeNet
        In training mode.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import Tensor
    >>> model = googlenet_cifar(width=0.25, rng=np.random.default_rng(0))
    >>> out = model(Tensor(np.zeros((2, 32, 32, 3), np.float32)))
    >>> out.logits.shape, out.aux1.shape, out.aux2.shape
    ((2, 10), (2, 10), (2, 10))
    """
    if not 0 < width < math.inf:
        raise UsageError(f"googlenet_cifar: width: expected a factor greater than 0, got {width!r}")
    model = GoogLeNet(True, num_classes, width, aux, activation, rng)
    nn.initialise(model, initialisation, rng)
    return model
