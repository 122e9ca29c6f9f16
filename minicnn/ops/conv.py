"""Convolution (cross-correlation, as everywhere in deep learning) by im2col.

    y[n, p, q, o] = b[o] + sum over i, j, c of  x_pad[n, p*SH + i, q*SW + j, c] * w[i, j, c, o]

    x   (N, H, W, CI)             x_pad is x with zeros around it
    w   (KH, KW, CI // groups, CO)
    b   (CO,)
    y   (N, OH, OW, CO)

Every output pixel is a dot product of one KH x KW x CI patch of the input with each filter. im2col writes
the patches as the rows of a matrix; then the whole convolution is one matrix product:

    cols  (N*OH*OW, KH*KW*CI)     cols[(n, p, q), (i, j, c)] = x_pad[n, p*SH + i, q*SW + j, c]
    y     = cols @ w + b          with w read as (KH*KW*CI, CO): no transpose, that is why HWIO

and so the gradients are those of a matrix product, plus the transpose of im2col:

    gb    = sum of gy over n, p, q
    gw    = cols^T @ gy           each weight met every patch once
    gcols = gy @ w^T              what each entry of each patch contributed
    gx    = col2im(gcols)         overlapping patches: a pixel receives the sum over all patches it was in

With stride 1 that sum is itself a convolution, of gy with the kernel turned by 180 degrees and its two
channel axes exchanged: pixel h received from output p what w[h - p] weighs. It is the faster way, because
copying patches of gy costs less than adding up patches of gx. With larger strides, or with more padding than
KH - 1, col2im does the work.

(G groups, n images in a tile, K = KH*KW*CI/G and CIG = CI/G in the code below.)

A 1x1 convolution needs no im2col: its patches are the pixels. With groups, the channels are cut into
equal parts that are convolved separately; `cols`, `w` and `gy` then carry a leading axis of groups.

Derivation: docs/ops/conv2d.md.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.cuda.products import get_float32_matmul_precision
from minicnn.cuda.switch import uses_kernels
from minicnn.errors import ShapeError
from minicnn.ops import winograd, winograd_on_gpu
from minicnn.ops.bias_relu import add_bias, sum_rows
from minicnn.ops.im2col import col2im, group_weights, im2col, split_groups, turn_weights
from minicnn.ops.matrix_product import multiply_into
from minicnn.ops.winograd import WinogradKernel
from minicnn.ops.winograd_on_gpu import GpuWinogradKernel
from minicnn.parallel import Tile, batch_tiles, run_tiles, scratch, sum_of_tiles
from minicnn.shapes import Padding, Size, Window, check_image_batch, integer, window
from minicnn.tensor import Function, Tensor, check_tensor, winograd_enabled


class Conv2d(Function):
    """Convolution of a batch of images with a bank of filters."""

    name = "conv2d"
    relu = False  # whether a fused op clips the output at zero

    def __init__(self, window: Window, groups: int = 1) -> None:
        self.window = window
        self.groups = groups

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        """Return y; saves x and the kernel, not the columns, which are KH*KW times larger."""
        kernel = convolution_kernel(w, self.window, self.groups, len(x))
        y = empty((len(x), self.window.OH, self.window.OW, w.shape[3]), x)

        def forward_tile(index: int, tile: Tile) -> None:
            kernel.convolve(x[tile], out=y[tile])
            add_bias(y[tile], b, self.relu)

        def forward_rows(index: int, rows: Tile) -> None:  # of the only image
            seen, part = self.window.part(rows)
            kernel.convolve(x[:, seen], out=y[:, rows], window=part)
            add_bias(y[:, rows], b, self.relu)

        if len(x) == 1:
            bytes_per_row = kernel.bytes_per_image // self.window.OH
            run_tiles(forward_rows, batch_tiles(self.window.OH, bytes_per_row, x))
        else:
            run_tiles(forward_tile, batch_tiles(len(x), kernel.bytes_per_image, x))
        self.save(x, kernel)
        return y

    def backward(self, gy: Array) -> tuple[Array | None, ...]:
        """Return gx, gw and, if there is a bias, gb."""
        x, kernel = self.saved[:2]
        wants_gx, wants_gw = self.needs_gradient[:2]
        wants_gb = len(self.needs_gradient) == 3 and self.needs_gradient[2]
        tiles = batch_tiles(len(x), kernel.bytes_per_image, x)
        if wants_gx:
            kernel.prepare_input_gradient()
        gx = empty(x.shape, x) if wants_gx else None
        gw_parts = empty((len(tiles), *kernel.gradient_shape), x) if wants_gw else None
        gb_parts = empty((len(tiles), gy.shape[3]), x) if wants_gb else None

        def backward_tile(index: int, tile: Tile) -> None:
            gb = None if gb_parts is None else gb_parts[index]
            gy_tile = self.start_tile(gy[tile], tile, gb)  # (n, OH, OW, CO)
            kernel.gradients(
                x[tile],
                gy_tile,
                gx=None if gx is None else gx[tile],
                gw=None if gw_parts is None else gw_parts[index],
            )

        run_tiles(backward_tile, tiles)
        gw = kernel.weight_gradient(sum_of_tiles(gw_parts)) if gw_parts is not None else None
        gb = sum_of_tiles(gb_parts) if gb_parts is not None else None
        return (gx, gw, gb)[: len(self.needs_gradient)]

    def start_tile(self, gy_tile: Array, tile: Tile, gb: Array | None) -> Array:
        """Write the gradient of the bias, if it is wanted, and return that of the convolution's output.

        Which is where a fused op begins with the gradient of its own output.
        """
        if gb is not None:
            sum_rows(gy_tile, out=gb)
        return gy_tile


ConvolutionKernel: TypeAlias = "Im2colKernel | WinogradKernel | GpuWinogradKernel"


def convolution_kernel(w: Array, window: Window, groups: int, images: int) -> ConvolutionKernel:
    """Make filters ready to be convolved with `images` images, by im2col or, where it pays, by Winograd.

    Winograd's algorithm has fewer multiplications and larger rounding errors (docs/ops/winograd.md). So it is
    for float32 only, never for gradient checks, and can be switched off: `minicnn.no_winograd`.
    """
    if winograd_enabled() and w.dtype == np.float32 and winograd.fits(window, groups):
        CI, CO = w.shape[2:]
        if array_module(w) is np:
            tiles = batch_tiles(images, winograd.bytes_per_image(window, CI, CO, w.itemsize))
            if winograd.pays(window, CI, images, len(tiles)):
                return WinogradKernel(w, window)
        elif (
            uses_kernels(w)
            and get_float32_matmul_precision() == "highest"  # in TF32 the errors would be too large
            and window.of_input_gradient() is not None
            and winograd_on_gpu.pays(window, CI, CO, images)
        ):
            return GpuWinogradKernel(w, window)
    return Im2colKernel(w, window, groups)


# ---- on one tile of n images ------------------------------------------------------------------------


class Im2colKernel:
    """A bank of filters, ready to be convolved with one tile of images after the other.

    Parameters
    ----------
    w : array of shape (KH, KW, CI // groups, CO)
        The filters.
    window : Window
        The geometry of the convolution.
    groups : int
        Number of parts of the channels, G.

    Attributes
    ----------
    weights : array of shape (G, K, CO/G)
        The filters as the matrices that the columns are multiplied with.
    bytes_per_image : int
        Memory that the temporary arrays for one image take.
    """

    def __init__(self, w: Array, window: Window, groups: int = 1) -> None:
        KH, KW, CIG, CO = w.shape
        self.window = window
        self.shape = w.shape
        self.weights = group_weights(w, groups)
        self.gradient_shape = self.weights.shape
        self.turned_window = window.of_input_gradient()
        self.turned: Array | None = None
        patches = window.OH * window.OW
        columns = 0 if window.is_pointwise else patches * KH * KW * CIG * groups
        self.bytes_per_image = (columns + patches * (CIG * groups + CO)) * w.dtype.itemsize

    def convolve(self, x: Array, out: Array, window: Window | None = None) -> None:
        """Write the convolution of x (n, H, W, CI) into out (n, OH, OW, CO), by `window` or its own."""
        cols = im2col(x, window or self.window, len(self.weights))  # (G, n*OH*OW, K)
        multiply_into(cols, self.weights, out=split_groups(out, len(self.weights)))

    def prepare_input_gradient(self) -> None:
        """Turn the filters, where the gradient of x is a convolution with them."""
        if self.turned_window is not None:
            self.turned = turn_weights(self.weights, self.shape)

    def gradients(self, x: Array, gy: Array, gx: Array | None, gw: Array | None) -> None:
        """Write the gradients, given x (n, H, W, CI) and gy (n, OH, OW, CO), into gx and gw where wanted.

        gx has the shape of x, gw that of `weights`.
        """
        gy_rows = split_groups(gy, len(self.weights))  # (G, n*OH*OW, CO/G)
        if gw is not None:
            cols = im2col(x, self.window, len(self.weights))  # (G, n*OH*OW, K)
            multiply_into(cols.transpose(0, 2, 1), gy_rows, out=gw)
        if gx is None:
            return
        if self.turned_window is not None and self.turned is not None:
            gcols = im2col(gy, self.turned_window, len(self.weights))  # (G, n*H*W, KH*KW*CO/G)
            multiply_into(gcols, self.turned, out=split_groups(gx, len(self.weights)))
        else:
            gcols = scratch("columns", (*gy_rows.shape[:2], self.weights.shape[1]), x)
            multiply_into(gy_rows, self.weights.transpose(0, 2, 1), out=gcols)  # (G, n*OH*OW, K)
            col2im(gcols, self.window, out=gx)

    def weight_gradient(self, grouped: Array) -> Array:
        """Bring the sum of all tiles' gw into the shape of w."""
        return grouped.transpose(1, 0, 2).reshape(self.shape)


# ---- the public function ----------------------------------------------------------------------------


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    groups: int = 1,
) -> Tensor:
    """Convolve a batch of images with a bank of filters.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, CI)
        Images, float32 or float64.
    weight : Tensor of shape (KH, KW, CI // groups, CO)
        Filters.
    bias : Tensor of shape (CO,), optional
        Added to every output pixel.
    stride : int or pair, default=1
        Step of the window, (vertical, horizontal), in pixels.
    padding : int, pair, or ((top, bottom), (left, right)), default=0
        Zeros around the image, in pixels.
    groups : int, default=1
        Number of parts into which the channels are cut; part g of the output sees part g of the input.

    Returns
    -------
    Tensor of shape (N, OH, OW, CO)
        OH = (H + top + bottom - KH) // SH + 1, and OW likewise.

    Raises
    ------
    ShapeError
        If the shapes do not fit each other, or the kernel is larger than the padded image.

    References
    ----------
    Chellapilla, Puri, Simard, "High performance convolutional neural networks for document processing",
    2006 (convolution as one matrix product).

    Examples
    --------
    >>> import numpy as np
    >>> image = Tensor(np.ones((1, 4, 4, 1), np.float32))
    >>> conv2d(image, Tensor(np.ones((3, 3, 1, 1), np.float32)), padding=1).data[0, :, :, 0]
    array([[4., 6., 6., 4.],
           [6., 9., 9., 6.],
           [6., 9., 9., 6.],
           [4., 6., 6., 4.]], dtype=float32)
    """
    geometry = check_conv2d(x, weight, bias, stride, padding, groups)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return Conv2d(geometry, groups).apply(*inputs)


def check_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Padding, groups: int
) -> Window:
    """Check the arguments of a convolution; return its window."""
    check_tensor("conv2d", "x", x)
    check_tensor("conv2d", "weight", weight)
    if bias is not None:
        check_tensor("conv2d", "bias", bias)
    check_image_batch("conv2d", x.shape)
    groups = integer("conv2d", "groups", groups, minimum=1)
    if weight.ndim != 4 or 0 in weight.shape:
        raise ShapeError(f"conv2d: weight: expected shape (KH, KW, CI // groups, CO), got {weight.shape}")
    if stride is None:
        raise ShapeError("conv2d: stride: expected an int or a pair (vertical, horizontal), got None")
    KH, KW, CIG, CO = weight.shape
    CI = x.shape[3]
    if CI % groups or CO % groups:
        raise ShapeError(
            f"conv2d: groups: expected a divisor of {CI} input and {CO} output channels, got {groups}"
        )
    if CIG * groups != CI:
        raise ShapeError(
            f"conv2d: x: expected {CIG * groups} channels for a weight of shape {weight.shape}"
            f"{f' and groups={groups}' if groups > 1 else ''}, got {CI} channels in shape {x.shape}"
        )
    if bias is not None and bias.shape != (CO,):
        raise ShapeError(f"conv2d: bias: expected shape ({CO},), got {bias.shape}")
    return window("conv2d", (x.shape[1], x.shape[2]), (KH, KW), stride, padding)
