"""Global average pooling: one window as large as the image.

    y[n, c]        = 1 / (H*W) * sum over h, w of x[n, h, w, c]
    gx[n, h, w, c] = gy[n, c] / (H*W)             every pixel has the same share in the mean

    x   (N, H, W, C)
    y   (N, C)

Derivation: docs/ops/global_avg_pool2d.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.shapes import check_image_batch
from minicnn.tensor import Function, Tensor, check_tensor


class GlobalAvgPool2d(Function):
    """Mean of each channel over the whole image."""

    name = "global_avg_pool2d"

    def forward(self, x: Array) -> Array:
        """Return the means, (N, C)."""
        self.image_shape = x.shape
        return x.mean(axis=(1, 2), dtype=x.dtype)

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx: every pixel's share of the mean is 1 / (H*W)."""
        _, H, W, _ = self.image_shape
        return (array_module(gy).broadcast_to((gy / (H * W))[:, None, None], self.image_shape),)


def global_avg_pool2d(x: Tensor) -> Tensor:
    """Take the mean of each channel over the whole image.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images, float32 or float64.

    Returns
    -------
    Tensor of shape (N, C)
        y[n, c] = mean over h, w of x[n, h, w, c].

    Raises
    ------
    ShapeError
        If x is no batch of images.

    References
    ----------
    Lin, Chen, Yan, "Network In Network", 2013, section 3.2: instead of fully connected layers.

    Examples
    --------
    >>> import numpy as np
    >>> global_avg_pool2d(Tensor(np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1))).data
    array([[1.5]], dtype=float32)
    """
    check_tensor("global_avg_pool2d", "x", x)
    check_image_batch("global_avg_pool2d", x.shape)
    return GlobalAvgPool2d().apply(x)
