"""A whole inception module in one op: the same numbers as its fourteen separate ops, faster.

    reduced = relu(x * [w3_reduce, w5_reduce] + b)           the two reductions side by side
    pooled  = max_pool2d(x, 3x3, stride 1, padding 1)
    y       = relu([x * w1, reduced3 * w3, reduced5 * w5, pooled * w_proj] + b)

    x        (N, H, W, C)                  * is a convolution, [,] puts channels side by side
    reduced  (N, H, W, R3 + R5)
    pooled   (N, H, W, C)
    y        (N, H, W, C1 + C3 + C5 + CP)

A tile of images goes through the whole module while it is in the cache, where separate ops send the batch
to main memory and back for each box of the diagram. On the way, boxes are joined:

- The convolutions write into their channels of y, so there is nothing left to concatenate; and backward
  reads their gradients from there. One addition and one ReLU serve all of them.
- In the backward pass the three 1x1 convolutions that read x are one, with their filters side by side. A
  product of matrices side by side is the sum of the products, so it adds up their shares of gx as it goes:

      [g3, g5, g1] @ [w3, w5, w1]^T  =  g3 @ w3^T + g5 @ w5^T + g1 @ w1^T

What each step does, and why, is told where it stands alone: conv.py, relu.py, max_pool.py, concat.py. Layers
use this op; `minicnn.composed` makes them use the separate ops, and this one is tested to give the same.

Derivation: docs/ops/inception.md.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.errors import ShapeError
from minicnn.ops.bias_relu import add_bias, mask_and_sum
from minicnn.ops.conv import ConvolutionKernel, convolution_kernel
from minicnn.ops.matrix_product import multiply_into
from minicnn.ops.max_pool import MaxPoolKernel, winners_of
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch, sum_of_tiles
from minicnn.shapes import check_image_batch, window
from minicnn.tensor import Function, Tensor, check_tensor


class Inception(Function):
    """Four branches of convolutions, side by side."""

    name = "inception"

    def forward(
        self,
        x: Array,
        w1: Array, b1: Array,
        w3_reduce: Array, b3_reduce: Array,
        w3: Array, b3: Array,
        w5_reduce: Array, b5_reduce: Array,
        w5: Array, b5: Array,
        w_proj: Array, b_proj: Array,
    ) -> Array:  # fmt: skip
        """Return y; saves x, everything that is computed on the way to y, and y."""
        xp = array_module(x)
        N, H, W, C = x.shape
        c = Channels.of(w1, w3, w5, w_proj)
        w_reduce = xp.concatenate([w3_reduce, w5_reduce], axis=3)[0, 0]  # (C, R3 + R5)
        b_reduced = xp.concatenate([b3_reduce, b5_reduce])
        b = xp.concatenate([b1, b3, b5, b_proj])
        kernels = Kernels(
            convolution_kernel(w3, window("inception", (H, W), 3, 1, 1), 1, N),
            convolution_kernel(w5, window("inception", (H, W), 5, 1, 2), 1, N),
            MaxPoolKernel(window("inception", (H, W), 3, 1, 1)),
        )
        reduced = empty((N, H, W, c.reduced), x)
        pooled = empty(x.shape, x)
        winners = kernels.pool.empty_winners(x) if self.is_recorded else None
        y = empty((N, H, W, c.y), x)

        def reduce(x_tile: Array, reduced_tile: Array) -> None:
            multiply_into(pixels(x_tile), w_reduce, out=pixels(reduced_tile))
            add_bias(reduced_tile, b_reduced, relu=True)

        def conv3(tile: Tile) -> None:
            kernels.conv3.convolve(reduced[tile][..., c.reduced3], out=y[tile][..., c.y3])

        def other_branches(tile: Tile) -> None:
            multiply_into(pixels(x[tile]), w1[0, 0], out=pixels(y[tile])[:, c.y1])
            kernels.conv5.convolve(reduced[tile][..., c.reduced5], out=y[tile][..., c.y5])
            kernels.pool.maximum(x[tile], pooled[tile], None if winners is None else winners.of(tile))
            multiply_into(pixels(pooled[tile]), w_proj[0, 0], out=pixels(y[tile])[:, c.y_proj])

        def forward_tile(index: int, tile: Tile) -> None:
            reduce(x[tile], reduced[tile])
            conv3(tile)
            other_branches(tile)
            add_bias(y[tile], b, relu=True)

        if N > 1:
            run_tiles(forward_tile, self._tiles(x, y))
        else:  # a single image is cut where it can be: first into rows, then into branches
            rows = batch_tiles(H, x[0, 0].size * x.dtype.itemsize, x)
            run_tiles(lambda _, tile: reduce(x[:, tile], reduced[:, tile]), rows)
            run_tiles(lambda index, image: (conv3, other_branches)[index](image), [slice(0, 1)] * 2)
            add_bias(y, b, relu=True)
        self.save(x, w_reduce, w1, w_proj, reduced, pooled, y, *(winners or (None, None)), kernels, c)
        return y

    def backward(self, gy: Array) -> tuple[Array, ...]:
        """Return the gradients of x and of every weight and bias."""
        x, w_reduce, w1, w_proj, reduced, pooled, y, *winners, kernels, c = self.saved
        xp = array_module(x)
        _, H, W, _ = x.shape
        w_first = xp.concatenate([w_reduce, w1[0, 0]], axis=1)  # (C, R3 + R5 + C1)
        kernels.conv3.prepare_input_gradient()
        kernels.conv5.prepare_input_gradient()
        tiles = self._tiles(x, y)
        gx = empty(x.shape, x)
        gb = empty((len(tiles), c.reduced + c.y), x)
        gw_first = empty((len(tiles), *w_first.shape), x)
        gw3 = empty((len(tiles), *kernels.conv3.gradient_shape), x)
        gw5 = empty((len(tiles), *kernels.conv5.gradient_shape), x)
        gw_proj = empty((len(tiles), *w_proj.shape), x)

        def backward_tile(index: int, tile: Tile) -> None:
            x_tile, gx_tile, reduced_tile, y_tile = x[tile], gx[tile], reduced[tile], y[tile]
            # Side by side, the gradients of what the convolutions gave: reductions first, then in y's order.
            g = scratch("gradients", (len(x_tile), H, W, c.reduced + c.y), x)
            g_reduced, g_y = g[..., : c.reduced], g[..., c.reduced :]
            gb_reduced, gb_y = gb[index, : c.reduced], gb[index, c.reduced :]
            mask_and_sum(gy[tile], y_tile, g_y, gb_y)
            for kernel, c_in, c_out, gw in (
                (kernels.conv3, c.reduced3, c.y3, gw3),
                (kernels.conv5, c.reduced5, c.y5, gw5),
            ):
                kernel.gradients(reduced_tile[..., c_in], g_y[..., c_out], g_reduced[..., c_in], gw[index])
            mask_and_sum(g_reduced, reduced_tile, g_reduced, gb_reduced)

            g_first = pixels(g)[:, : c.reduced + c.y1.stop]
            multiply_into(pixels(x_tile).T, g_first, out=gw_first[index])
            multiply_into(g_first, w_first.T, out=pixels(gx_tile))

            g_proj = pixels(g_y)[:, c.y_proj]
            g_pooled = scratch("gradient of pooled", x_tile.shape, x)
            multiply_into(pixels(pooled[tile]).T, g_proj, out=gw_proj[index, 0, 0])
            multiply_into(g_proj, w_proj[0, 0].T, out=pixels(g_pooled))
            kernels.pool.add_to_winners(g_pooled, winners_of(winners).of(tile), gx_tile)

        run_tiles(backward_tile, tiles)
        gw_first = sum_of_tiles(gw_first)[None, None]
        gb = sum_of_tiles(gb)
        gb_reduced, gb_y = gb[: c.reduced], gb[c.reduced :]
        return (
            gx,
            gw_first[..., c.reduced :], gb_y[c.y1],
            gw_first[..., c.reduced3], gb_reduced[c.reduced3],
            kernels.conv3.weight_gradient(sum_of_tiles(gw3)), gb_y[c.y3],
            gw_first[..., c.reduced5], gb_reduced[c.reduced5],
            kernels.conv5.weight_gradient(sum_of_tiles(gw5)), gb_y[c.y5],
            sum_of_tiles(gw_proj), gb_y[c.y_proj],
        )  # fmt: skip

    def branches(self) -> Array | None:
        """Tell which units are on, and the winners of the pooling, image by image."""
        _, _, _, _, reduced, _, y, *winners, kernels, _ = self.saved
        if winners[0] is None:
            return None
        places = kernels.pool.places(winners_of(winners))
        return array_module(y).concatenate(
            [a.reshape(len(y), -1) for a in (reduced > 0, y > 0, places)], axis=1
        )

    def _tiles(self, x: Array, y: Array) -> list[Tile]:
        return batch_tiles(len(x), (x[0].size + y[0].size) * x.dtype.itemsize, x)


class Channels(NamedTuple):
    """Where each convolution has its channels: the reductions in `reduced`, the others in y."""

    reduced3: slice
    reduced5: slice
    y1: slice
    y3: slice
    y5: slice
    y_proj: slice

    @classmethod
    def of(cls, w1: Array, w3: Array, w5: Array, w_proj: Array) -> Channels:
        """Read them off the filters (KH, KW, inputs, outputs)."""
        return cls(
            *side_by_side(w3.shape[2], w5.shape[2]),
            *side_by_side(*(w.shape[3] for w in (w1, w3, w5, w_proj))),
        )

    @property
    def reduced(self) -> int:
        """R3 + R5."""
        return self.reduced5.stop

    @property
    def y(self) -> int:
        """C1 + C3 + C5 + CP."""
        return self.y_proj.stop


class Kernels(NamedTuple):
    """The parts of the module that look at more than one pixel."""

    conv3: ConvolutionKernel
    conv5: ConvolutionKernel
    pool: MaxPoolKernel


def side_by_side(*sizes: int) -> list[slice]:
    """Slices of these sizes, one after the other."""
    return [slice(start, end) for start, end in itertools.pairwise([0, *itertools.accumulate(sizes)])]


def pixels(x: Array) -> Array:
    """View (n, H, W, C) as (n*H*W, C)."""
    return x.reshape(-1, x.shape[-1])


# ---- the public function ----------------------------------------------------------------------------


def inception(
    x: Tensor,
    w1: Tensor, b1: Tensor,
    w3_reduce: Tensor, b3_reduce: Tensor,
    w3: Tensor, b3: Tensor,
    w5_reduce: Tensor, b5_reduce: Tensor,
    w5: Tensor, b5: Tensor,
    w_proj: Tensor, b_proj: Tensor,
) -> Tensor:  # fmt: skip
    """Run an inception module with 1x1 reductions, ReLU after every convolution.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images, float32 or float64.
    w1, b1 : Tensor of shapes (1, 1, C, C1) and (C1,)
        The 1x1 convolution.
    w3_reduce, b3_reduce : Tensor of shapes (1, 1, C, R3) and (R3,)
        The reduction before the 3x3 convolution.
    w3, b3 : Tensor of shapes (3, 3, R3, C3) and (C3,)
        The 3x3 convolution, padded by 1.
    w5_reduce, b5_reduce : Tensor of shapes (1, 1, C, R5) and (R5,)
        The reduction before the 5x5 convolution.
    w5, b5 : Tensor of shapes (5, 5, R5, C5) and (C5,)
        The 5x5 convolution, padded by 2.
    w_proj, b_proj : Tensor of shapes (1, 1, C, CP) and (CP,)
        The projection after the 3x3 max pooling.

    Returns
    -------
    Tensor of shape (N, H, W, C1 + C3 + C5 + CP)
        The outputs of the four branches, in this order.

    Raises
    ------
    ShapeError
        If x is no batch of images, or a shape does not fit the others.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", 2014, figure 2b.

    Examples
    --------
    >>> import numpy as np
    >>> def ones(*shape):
    ...     return Tensor(np.ones(shape, np.float32))
    >>> inception(
    ...     ones(1, 2, 2, 1),
    ...     ones(1, 1, 1, 1), ones(1),
    ...     ones(1, 1, 1, 1), ones(1), ones(3, 3, 1, 1), ones(1),
    ...     ones(1, 1, 1, 1), ones(1), ones(5, 5, 1, 1), ones(1),
    ...     ones(1, 1, 1, 1), ones(1),
    ... ).data[0, 0, 0]
    array([2., 9., 9., 2.], dtype=float32)
    """
    arguments = locals()
    for name, argument in arguments.items():
        check_tensor("inception", name, argument)
    check_image_batch("inception", x.shape)
    C = w1.shape[2] if w1.ndim == 4 else x.shape[3]
    if x.shape[3] != C:
        raise ShapeError(
            f"inception: x: expected {C} channels for w1 of shape {w1.shape}, "
            f"got {x.shape[3]} channels in shape {x.shape}"
        )
    R3, R5 = w3_reduce.shape[-1:], w5_reduce.shape[-1:]
    for name, expected in (
        ("w1", (1, 1, C)),
        ("w3_reduce", (1, 1, C)),
        ("w3", (3, 3, *R3)),
        ("w5_reduce", (1, 1, C)),
        ("w5", (5, 5, *R5)),
        ("w_proj", (1, 1, C)),
    ):
        weight, bias = arguments[name], arguments["b" + name[1:]]
        if weight.ndim != 4 or weight.shape[:3] != expected or 0 in weight.shape:
            wanted = ", ".join(map(str, expected))
            raise ShapeError(f"inception: {name}: expected shape ({wanted}, filters), got {weight.shape}")
        if bias.shape != weight.shape[3:]:
            raise ShapeError(f"inception: b{name[1:]}: expected shape {weight.shape[3:]}, got {bias.shape}")
    return Inception().apply(*arguments.values())
