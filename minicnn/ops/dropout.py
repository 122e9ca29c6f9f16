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
from minicnn.errors import ShapeError
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
    x: Tensor, p: float = 0.5, training: bool = True, rng: np.random.Generator | None = None
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
    rng : numpy.random.Generator, optional
        Where the random numbers come from; left out, a fresh generator.

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
    rng = checked_generator(rng)
    keep = rng.random(x.shape, dtype=np.float32) >= p
    # With p = 1 nothing is kept, and there is nothing to scale.
    mask = keep.astype(x.dtype) / (x.dtype.type(1 - p) if p < 1 else 1)
    return Dropout(array_module(x.data).asarray(mask, dtype=x.dtype)).apply(x)
