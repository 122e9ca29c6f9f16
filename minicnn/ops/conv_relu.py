"""Convolution and ReLU in one pass over the tiles: the same numbers as relu(conv2d(x, w, b)), faster.

    y  = max(conv2d(x, w, b), 0)             applied to a tile of the output while it is in the cache
    gz = gy * (y > 0)                        gradient of the convolution's output, made tile by tile,
                                             from which gx, gw and gb follow as in conv.py

What is saved is y instead of the convolution's output: y > 0 exactly where that was > 0. Layers use
this op; `minicnn.composed` makes them use the two separate ops.

Derivation: docs/ops/conv2d.md and docs/ops/relu.md.
"""

from __future__ import annotations

from minicnn.backend import Array
from minicnn.ops.bias_relu import mask_and_sum
from minicnn.ops.conv import Conv2d, check_conv2d
from minicnn.parallel import Tile, scratch
from minicnn.shapes import Padding, Size
from minicnn.tensor import Tensor


class Conv2dReLU(Conv2d):
    """ReLU of a convolution."""

    name = "conv2d_relu"
    relu = True

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        """Return y; saves x, the kernel and y."""
        y = super().forward(x, w, b)
        self.save(*self.saved, y)
        return y

    def start_tile(self, gy_tile: Array, tile: Tile, gb: Array | None) -> Array:
        """Let the gradient through where the output is positive; the bias receives what came through."""
        gz = scratch("masked gradient", gy_tile.shape, gy_tile)
        mask_and_sum(gy_tile, self.saved[2][tile], gz, gb)
        return gz

    def branches(self) -> Array:
        """Tell which units are on."""
        return self.saved[2] > 0


def conv2d_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    groups: int = 1,
) -> Tensor:
    """Compute relu(conv2d(x, weight, bias, stride, padding, groups)) in one pass.

    Arguments, result and errors are those of `minicnn.functional.conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> x = Tensor(np.array([-1.0, 2.0], np.float32).reshape(1, 1, 2, 1))
    >>> conv2d_relu(x, Tensor(np.ones((1, 1, 1, 1), np.float32))).data.ravel()
    array([0., 2.], dtype=float32)
    """
    geometry = check_conv2d(x, weight, bias, stride, padding, groups)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return Conv2dReLU(geometry, groups).apply(*inputs)
