"""Local response normalisation across channels.

    s[..., c] = sum of x[..., d]^2 over the window of c       d from c - size//2 to c + (size-1)//2
    u         = k + alpha/size * s
    y         = x * u^-beta

    x, s, u, y   (N, H, W, C)

The window sum along the channels is a product with a banded matrix of ones, B[d, c] = 1 where d lies in
the window of c: s = x^2 @ B. So its gradient is a product with the transposed band, which also turns the
window of an even size round, as it must:

    dy_c / dx_c  directly:       u_c^-beta
    dy_c / du_c:                 -beta * x_c * u_c^(-beta-1)
    du_c / dx_d:                 2 * alpha/size * x_d  where d lies in the window of c

    gx = gy * f  -  2 * alpha * beta / size * x * ((gy * x * f / u) @ B^T)      with f = u^-beta

The band is mostly zeros, so the product is done for a block of channels at a time, with those rows of the
band only that the block can see.

Derivation: docs/ops/local_response_norm.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.cuda.launch import C_TYPES, block_for, launch
from minicnn.cuda.switch import uses_kernels
from minicnn.errors import ShapeError
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch
from minicnn.shapes import integer
from minicnn.tensor import Function, Tensor, check_tensor

BLOCK = 64  # channels; with fewer, products become too narrow to be fast
SHARED_BYTES = 48 << 10  # of a block of threads on a GPU; what every GPU has
PIXELS_OF_A_THREAD = 4  # on a GPU, where they fit


class LocalResponseNorm(Function):
    """Division of each value by a power of the energy in neighbouring channels."""

    name = "local_response_norm"

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Array) -> Array:
        """Return y; saves x and u (on a GPU only x)."""
        xp = array_module(x)
        if self._has_kernel(x):
            y = empty(x.shape, x)
            x = xp.ascontiguousarray(x)
            self._launch("lrn_forward", 1, x, y)
            self.save(x, None)
            return y
        band = (self.alpha / self.size * self._band(x)).astype(x.dtype)
        u, y = empty(x.shape, x), empty(x.shape, x)

        x_pixels, u_pixels, y_pixels = pixels(x), pixels(u), pixels(y)

        def forward_tile(index: int, tile: Tile) -> None:
            x_tile, u_tile, y_tile = x_pixels[tile], u_pixels[tile], y_pixels[tile]
            squares = scratch("squares", x_tile.shape, x)
            xp.multiply(x_tile, x_tile, out=squares)
            multiply_band(squares, band, self.size // 2, out=u_tile)
            u_tile += self.k
            inverse_power(u_tile, self.beta, out=y_tile)
            y_tile *= x_tile

        run_tiles(forward_tile, tiles_of_pixels(x))
        self.save(x, u)
        return y

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        x, u = self.saved
        xp = array_module(x)
        if u is None:
            gx = empty(x.shape, x)
            self._launch("lrn_backward", 2, x, xp.ascontiguousarray(gy), gx)
            return (gx,)
        band = (-2 * self.alpha * self.beta / self.size * self._band(x).T).astype(x.dtype)
        gx = empty(x.shape, x)
        x_pixels, u_pixels, gy_pixels, gx_pixels = pixels(x), pixels(u), pixels(gy), pixels(gx)

        def backward_tile(index: int, tile: Tile) -> None:
            x_tile, u_tile, gx_tile = x_pixels[tile], u_pixels[tile], gx_pixels[tile]
            # The gradient of u, but for the factor -beta, which is in the band.
            gu = scratch("gu", gx_tile.shape, x)
            through_windows = scratch("through windows", gx_tile.shape, x)
            inverse_power(u_tile, self.beta, out=gx_tile)
            gx_tile *= gy_pixels[tile]  # gy * f
            xp.multiply(gx_tile, x_tile, out=gu)
            gu /= u_tile
            multiply_band(gu, band, self.size // 2, out=through_windows)
            through_windows *= x_tile
            gx_tile += through_windows

        run_tiles(backward_tile, tiles_of_pixels(x))
        return (gx,)

    def _has_kernel(self, x: Array) -> bool:
        """Tell whether a kernel does it: one that has room for the channels of a pixel, twice."""
        return uses_kernels(x) and 2 * x.shape[-1] * x.itemsize <= SHARED_BYTES

    def _launch(self, kernel: str, rows_of_shared_memory: int, *arrays: Array) -> None:
        x = arrays[0]
        C, dtype = x.shape[-1], x.dtype
        pixels = x.size // C
        bytes_per_pixel = rows_of_shared_memory * C * x.itemsize
        of_a_thread = PIXELS_OF_A_THREAD if PIXELS_OF_A_THREAD * bytes_per_pixel <= SHARED_BYTES else 1
        across, down = block_for(C)
        down = min(down, SHARED_BYTES // (of_a_thread * bytes_per_pixel))
        launch(
            "lrn.cu", f"{kernel}<{C_TYPES[dtype]}, {of_a_thread}>",
            (-(-pixels // (down * of_a_thread)),), (across, down),
            *arrays, pixels, C, self.size,
            *map(dtype.type, (self.alpha / self.size, self.beta, self.k)),
            shared_bytes=down * of_a_thread * bytes_per_pixel,
        )  # fmt: skip

    def _band(self, like: Array) -> Array:
        """B[d, c] = 1 where channel d lies in the window of channel c: (C, C)."""
        xp = array_module(like)
        channel = xp.arange(like.shape[-1])
        offset = channel[:, None] - channel[None, :]
        return (offset >= -(self.size // 2)) & (offset <= (self.size - 1) // 2)


def pixels(x: Array) -> Array:
    """View (N, ..., C) as (pixels, C)."""
    return x.reshape(-1, x.shape[-1])


def tiles_of_pixels(x: Array) -> list[Tile]:
    """Cut the pixels of x (N, ..., C) into tiles; no pixel needs another."""
    return batch_tiles(pixels(x).shape[0], 4 * x.shape[-1] * x.dtype.itemsize, x)


def multiply_band(x: Array, band: Array, reach: int, out: Array) -> None:
    """Write x @ band into out, both (n, C); band (C, C) is zero beyond `reach` from its diagonal."""
    xp = array_module(x)
    for start in range(0, len(band), BLOCK):
        block = slice(start, start + BLOCK)
        seen = slice(max(0, start - reach), start + BLOCK + reach)
        xp.matmul(x[:, seen], band[seen, block], out=out[:, block])


def inverse_power(u: Array, beta: float, out: Array) -> None:
    """Write u^-beta into out. For the usual beta = 3/4 by two square roots, which are faster than a power."""
    xp = array_module(u)
    if beta == 0.75:
        root = scratch("root", u.shape, u)
        xp.sqrt(u, out=root)
        xp.sqrt(root, out=out)
        out *= root  # u^(1/4) * u^(1/2)
        xp.reciprocal(out, out=out)
    else:
        xp.power(u, -beta, out=out)


def local_response_norm(
    x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Normalise each value by the energy of the channels around it.

    Parameters
    ----------
    x : Tensor of shape (N, ..., C)
        Activations with the channels last, float32 or float64.
    size : int, default=5
        Number of channels in a window. Channel c sees channels c - size//2 to c + (size-1)//2; those
        that do not exist count as zero.
    alpha : float, default=1e-4
        Weight of the energy; **divided by size**, as in Caffe and PyTorch. The AlexNet paper does not
        divide.
    beta : float, default=0.75
        Exponent.
    k : float, default=1.0
        What is added to the energy.

    Returns
    -------
    Tensor of the shape of x
        x / (k + alpha/size * sum of x^2 over the window)^beta.

    Raises
    ------
    ShapeError
        If x has fewer than two axes or is empty, or size is no whole number of at least 1.

    References
    ----------
    Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
    2012, section 3.3. GoogLeNet's constants are those of Caffe's bvlc_googlenet.

    Examples
    --------
    >>> import numpy as np
    >>> x = Tensor(np.full((1, 1, 1, 3), 2.0, np.float32))
    >>> local_response_norm(x, size=3, alpha=3.0, beta=0.5, k=1.0).data.round(3)
    array([[[[0.667, 0.555, 0.667]]]], dtype=float32)
    """
    check_tensor("local_response_norm", "x", x)
    if x.ndim < 2 or x.size == 0:
        raise ShapeError(
            f"local_response_norm: x: expected (N, ..., C) with every size at least 1, got {x.shape}"
        )
    size = integer("local_response_norm", "size", size, minimum=1)
    return LocalResponseNorm(size, alpha, beta, k).apply(x)
