"""What an op costs: the multiplications of convolutions and matrix products, counted from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
