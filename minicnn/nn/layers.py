"""The layers: functions together with their parameters and settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from minicnn import functional as F
from minicnn.cuda.random import DeviceGenerator
from minicnn.errors import ShapeError, UsageError
from minicnn.nn.initialisers import he_normal
from minicnn.nn.module import Module, Parameter
from minicnn.random import checked_generator
from minicnn.shapes import Padding, Size, integer, pair
from minicnn.tensor import Tensor, fusion_enabled

Activation = Literal["relu", "sigmoid", "tanh"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "sigmoid": F.sigmoid, "tanh": F.tanh}


def _checked_activation(name: str | None) -> str | None:
    if name is not None and name not in _ACTIVATIONS:
        raise UsageError(f"activation: expected one of {', '.join(_ACTIVATIONS)} or None, got {name!r}")
    return name


class Conv2d(Module):
    """Convolution, and what follows every convolution of GoogLeNet, its activation.

    Parameters
    ----------
    in_channels, out_channels : int
        CI and CO.
    kernel_size : int or pair
        (vertical, horizontal), in pixels.
    stride, padding, groups
        As for `functional.conv2d`.
    bias : bool, default=True
        Whether there is one.
    activation : "relu", "sigmoid", "tanh" or None, default=None
        Applied to the output.
    rng : numpy.random.Generator, optional
        For the initial weights (He-normal, biases zero); left out, a fresh generator.

    Attributes
    ----------
    weight : Parameter of shape (KH, KW, CI // groups, CO)
    bias : Parameter of shape (CO,) or None

    Examples
    --------
    >>> Conv2d(3, 64, 7, stride=2, padding=3).weight.shape
    (7, 7, 3, 64)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        groups: int = 1,
        bias: bool = True,
        activation: Activation | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        CI = integer("Conv2d", "in_channels", in_channels, minimum=1)
        CO = integer("Conv2d", "out_channels", out_channels, minimum=1)
        KH, KW = pair("Conv2d", "kernel_size", kernel_size, minimum=1)
        self.stride = stride
        self.padding = padding
        self.groups = integer("Conv2d", "groups", groups, minimum=1)
        if CI % self.groups or CO % self.groups:
            raise ShapeError(
                f"Conv2d: groups: expected a divisor of {CI} input and {CO} output channels, "
                f"got {self.groups}"
            )
        self.activation = _checked_activation(activation)
        shape = (KH, KW, CI // self.groups, CO)
        self.weight = Parameter(he_normal(shape, checked_generator(rng)))
        self.bias = Parameter(np.zeros(CO, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, CI) to (N, OH, OW, CO)."""
        arguments = (x, self.weight, self.bias, self.stride, self.padding, self.groups)
        if self.activation == "relu" and fusion_enabled():
            return F.conv2d_relu(*arguments)
        y = F.conv2d(*arguments)
        return y if self.activation is None else _ACTIVATIONS[self.activation](y)

    def describe(self) -> str:
        """Return kernel, channels, stride, padding and activation."""
        KH, KW, CIG, CO = self.weight.shape
        settings = [
            f"{CIG * self.groups} -> {CO}",
            f"{KH}x{KW}",
            f"stride={self.stride}",
            f"padding={self.padding}",
        ]
        return ", ".join([*settings, *([self.activation] if self.activation else [])])


class Linear(Module):
    """Fully connected layer with an optional activation.

    Parameters
    ----------
    in_features, out_features : int
        I and O.
    bias : bool, default=True
        Whether there is one.
    activation : "relu", "sigmoid", "tanh" or None, default=None
        Applied to the output.
    rng : numpy.random.Generator, optional
        For the initial weights (He-normal, biases zero); left out, a fresh generator.

    Attributes
    ----------
    weight : Parameter of shape (I, O)
    bias : Parameter of shape (O,) or None

    Examples
    --------
    >>> Linear(1024, 1000).num_parameters()
    1025000
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: Activation | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        fan_in = integer("Linear", "in_features", in_features, minimum=1)
        fan_out = integer("Linear", "out_features", out_features, minimum=1)
        self.activation = _checked_activation(activation)
        self.weight = Parameter(he_normal((fan_in, fan_out), checked_generator(rng)))
        self.bias = Parameter(np.zeros(fan_out, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, I) to (N, O)."""
        y = F.linear(x, self.weight, self.bias)
        return y if self.activation is None else _ACTIVATIONS[self.activation](y)

    def describe(self) -> str:
        """Return sizes and activation."""
        inputs, outputs = self.weight.shape
        return f"{inputs} -> {outputs}" + (f", {self.activation}" if self.activation else "")


class MaxPool2d(Module):
    """Max pooling; arguments as for `functional.max_pool2d`."""

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Padding = 0, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, OH, OW, C)."""
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)

    def describe(self) -> str:
        """Return window, stride and padding."""
        ceil = ", ceil" if self.ceil_mode else ""
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}{ceil}"


class AvgPool2d(Module):
    """Average pooling; arguments as for `functional.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, OH, OW, C)."""
        return F.avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def describe(self) -> str:
        """Return window, stride and padding."""
        ceil = ", ceil" if self.ceil_mode else ""
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}{ceil}"


class GlobalAvgPool2d(Module):
    """Mean of each channel over the image."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, C)."""
        return F.global_avg_pool2d(x)


class LocalResponseNorm(Module):
    """Local response normalisation; arguments as for `functional.local_response_norm`."""

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, ..., C)."""
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def describe(self) -> str:
        """Return the constants."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class Dropout(Module):
    """Dropout in training mode, nothing in evaluation mode.

    Parameters
    ----------
    p : float, default=0.5
        Probability to drop; read at each call, so it may be changed.
    rng : numpy.random.Generator, optional
        Where the random numbers come from; left out, a fresh generator. May be replaced at any time, as
        the training loop does at each step.
    """

    def __init__(self, p: float = 0.5, rng: np.random.Generator | None = None) -> None:
        super().__init__()
        self.p = p
        self.rng: np.random.Generator | DeviceGenerator = checked_generator(rng)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return F.dropout(x, self.p, self.training, self.rng)

    def describe(self) -> str:
        """Return the probability to drop."""
        return f"p={self.p}"


class ReLU(Module):
    """Positive part."""

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return F.relu(x)


class Flatten(Module):
    """All axes but the first become one."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, H*W*C)."""
        return F.flatten(x)
