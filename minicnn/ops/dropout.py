"""Dropout with inverted scaling.

    y  = x * mask                 mask = 0 with probability p, else 1 / (1 - p)
    gx = gy * mask

    x, y, mask   any shape

The scaling keeps the expectation: E[y] = x. So nothing has to be done at inference.

The mask is drawn by the public function and handed to the op, which is then an ordinary multiplication:
running it again gives the same result, as a gradient check needs.

Derivation: docs/ops/dropout.md.
"""

from __future__ import annotations

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.cuda.random import DeviceGenerator
from minicnn.cuda.switch import uses_kernels
from minicnn.errors import DeviceError, ShapeError
from minicnn.parallel import on_device_of
from minicnn.random import checked_generator
from minicnn.tensor import Function, Tensor, check_floating


class Dropout(Function):
    """Multiplication by a random mask."""

    name = "dropout"

    def __init__(self, mask: Array) -> None:
        self.mask = mask

    def forward(self, x: Array) -> Array:
        """Return y."""
        return x * self.mask

    def backward(self, gy: Array) -> tuple[Array]:
        """Return gx."""
        return (gy * self.mask,)


def dropout(
    x: Tensor,
    p: float = 0.5,
    training: bool = True,
    rng: np.random.Generator | DeviceGenerator | None = None,
) -> Tensor:
    """Zero each value with probability p and scale the others by 1 / (1 - p).

    Parameters
    ----------
    x : Tensor of any shape
        float32 or float64.
    p : float, default=0.5
        Probability to drop, from 0 to 1. With p=0 the result is x itself.
    training : bool, default=True
        At inference (False) the result is x itself.
    rng : numpy.random.Generator or cuda.random.DeviceGenerator, optional
        Where the random numbers come from; left out, a fresh generator. For a tensor on a GPU, NumPy's draws
        the key of a generator that runs there, so the same seed gives other numbers than on the CPU.

    Returns
    -------
    Tensor of the shape of x

    Raises
    ------
    ShapeError
        If p is not between 0 and 1.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> x = Tensor([1.0, 1.0, 1.0, 1.0])
    >>> dropout(x, p=0.5, rng=np.random.default_rng(0)).data
    array([2., 2., 2., 0.], dtype=float32)
    """
    if not 0 <= p <= 1:
        raise ShapeError(f"dropout: p: expected a probability to drop, from 0 to 1, got {p!r}")
    check_floating("dropout", x)
    if not training or p == 0:
        return x
    return Dropout(draw_mask(x, p, rng)).apply(x)


def draw_mask(x: Tensor, p: float, rng: np.random.Generator | DeviceGenerator | None) -> Array:
    """Draw what x is multiplied with: 0 with probability p, else 1 / (1 - p)."""
    if not isinstance(rng, DeviceGenerator):
        rng = checked_generator(rng)
    if uses_kernels(x.data):
        with on_device_of(x.data):
            generator = rng if isinstance(rng, DeviceGenerator) else DeviceGenerator.from_generator(rng)
            return generator.dropout_mask(x.shape, p, x.dtype)
    if isinstance(rng, DeviceGenerator):
        raise DeviceError(f"dropout: rng: expected a NumPy generator for a tensor on {x.device}, got a GPU's")
    keep = rng.random(x.shape, dtype=np.float32) >= p
    # With p = 1 nothing is kept, and there is nothing to scale.
    mask = keep.astype(x.dtype) / (x.dtype.type(1 - p) if p < 1 else 1)
    return array_module(x.data).asarray(mask, dtype=x.dtype)
