"""Fully connected layer.

    y  = x @ w + b
    gx = gy @ w^T                 each input is multiplied by its row of weights
    gw = x^T @ gy                 each weight saw its input once per sample
    gb = sum of gy over the samples

    x   (N, I)
    w   (I, O)
    b   (O,)
    y   (N, O)

The products are cut so that each tile owns some rows or columns of the result: no sums between tiles,
hence the same bits for any number of threads.

Derivation: docs/ops/linear.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.errors import ShapeError
from minicnn.ops.bias_relu import add_bias, sum_rows
from minicnn.ops.matrix_product import multiply_into
from minicnn.parallel import batch_tiles, run_tiles
from minicnn.tensor import Function, Tensor, check_tensor


class Linear(Function):
    """Matrix product and bias."""

    name = "linear"

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        """Return y; saves x and w."""
        self.save(x, w)
        y = tiled_product(x, w)
        add_bias(y, b, relu=False)
        return y

    def backward(self, gy: Array) -> tuple[Array | None, ...]:
        """Return gx, gw and, if there is a bias, gb."""
        x, w = self.saved
        wants_gx, wants_gw = self.needs_gradient[:2]
        gx = tiled_product(gy, w.T) if wants_gx else None
        gw = tiled_product(x.T, gy) if wants_gw else None
        if len(self.needs_gradient) == 2:
            return gx, gw
        gb = array_module(gy).empty(gy.shape[1:], gy.dtype)
        sum_rows(gy, out=gb)
        return gx, gw, gb


def tiled_product(a: Array, b: Array) -> Array:
    """Compute a @ b, (M, K) @ (K, N), in tiles of rows of a or columns of b, whichever are more."""
    (M, K), N = a.shape, b.shape[1]
    product = empty((M, N), a)
    if M >= N:
        tiles = batch_tiles(M, (K + N) * a.dtype.itemsize, a)
        run_tiles(lambda _, rows: multiply_into(a[rows], b, out=product[rows]), tiles)
    else:
        tiles = batch_tiles(N, (K + M) * a.dtype.itemsize, a)
        run_tiles(lambda _, columns: multiply_into(a, b[:, columns], out=product[:, columns]), tiles)
    return product


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply each sample by a matrix of weights.

    Parameters
    ----------
    x : Tensor of shape (N, I)
        Samples, float32 or float64.
    weight : Tensor of shape (I, O)
        (in, out), so that no transpose is needed.
    bias : Tensor of shape (O,), optional
        Added to every sample.

    Returns
    -------
    Tensor of shape (N, O)

    Raises
    ------
    ShapeError
        If the shapes do not fit each other.

    Examples
    --------
    >>> linear(Tensor([[1.0, 2.0]]), Tensor([[1.0, 0.0], [0.0, 1.0]]), Tensor([10.0, 20.0])).data
    array([[11., 22.]], dtype=float32)
    """
    check_tensor("linear", "x", x)
    check_tensor("linear", "weight", weight)
    if bias is not None:
        check_tensor("linear", "bias", bias)
    if weight.ndim != 2:
        raise ShapeError(f"linear: weight: expected shape (in, out), got {weight.shape}")
    if x.ndim != 2 or x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"linear: x: expected shape (N, {weight.shape[0]}) for a weight of shape {weight.shape}, "
            f"got {x.shape}"
        )
    if len(x) == 0:
        raise ShapeError(f"linear: x: expected at least one sample, got an empty batch: {x.shape}")
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ShapeError(f"linear: bias: expected shape {weight.shape[1:]}, got {bias.shape}")
    return Linear().apply(*((x, weight) if bias is None else (x, weight, bias)))
