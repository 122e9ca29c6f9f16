"""What an op costs: the multiplications of convolutions and matrix products, counted from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]


def multiplications(op: str, inputs: Sequence[Shape], output: Shape) -> int:
    """Count the multiplications of a convolution or a matrix product; 0 for other ops.

    Every element of the output is a sum of products, one for each row of the weights.

    Parameters
    ----------
    op : str
        Name of the op, as in `minicnn.functional`.
    inputs : sequence of tuple of int
        Shapes of its inputs, in order.
    output : tuple of int
        Shape of its output.

    Examples
    --------
    >>> multiplications("conv2d", [(1, 28, 28, 192), (3, 3, 192, 64)], (1, 28, 28, 64))
    86704128
    >>> multiplications("relu", [(1, 28, 28, 64)], (1, 28, 28, 64))
    0
    """
    match op:
        case "conv2d" | "conv2d_relu":
            return math.prod(output) * math.prod(inputs[1][:3])  # KH * KW * CI/groups
        case "linear" | "matmul":
            return math.prod(output) * inputs[0][-1]
        case "inception":
            weights = [shape for shape in inputs[1:] if len(shape) == 4]
            return math.prod(output[:3]) * sum(map(math.prod, weights))  # each weight is used at every pixel
    return 0


@dataclass(frozen=True)
class Product:
    """A convolution that keeps the size of its image, or with size 1 a fully connected layer.

    Attributes
    ----------
    what : str
        What to call it.
    size : int
        Height and width of the image, in pixels.
    channels, filters : int
        Channels that go in and come out.
    kernel : int, default=1
        Height and width of the filters.

    Examples
    --------
    >>> reduce = Product("1x1", size=28, channels=192, filters=16)
    >>> reduce.macs, reduce.weights, reduce.working
    (2408448, 3072, '28*28 * 192 * 16')
    """

    what: str
    size: int
    channels: int
    filters: int
    kernel: int = 1

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        output = (1, self.size, self.size, self.filters)
        images = (1, self.size, self.size, self.channels)
        weights = (self.kernel, self.kernel, self.channels, self.filters)
        return multiplications("conv2d", [images, weights], output)

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return self.kernel**2 * self.channels * self.filters

    @property
    def working(self) -> str:
        """The multiply-adds as a product."""
        pixels = [f"{self.size}*{self.size}"] if self.size > 1 else []
        kernel = [f"{self.kernel}*{self.kernel}"] if self.kernel > 1 else []
        return " * ".join([*pixels, *kernel, str(self.channels), str(self.filters)])
