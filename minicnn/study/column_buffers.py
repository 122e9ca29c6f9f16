"""How much memory im2col needs: for a whole batch at once, and tile by tile as minicnn does it.

    cols  (N*OH*OW, KH*KW*CI)

Each pixel of the image is written into up to KH*KW rows, so the columns of a 3x3 convolution are nine times
as large as its input. The engine never writes them for the whole batch: it cuts the batch (or the rows of
the only image) into tiles whose columns stay in the cache (minicnn/ops/conv.py), and a 1x1 convolution
with stride 1 needs no columns at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from minicnn.ops.conv import Im2colKernel
from minicnn.parallel import batch_tiles
from minicnn.shapes import Window
from minicnn.tensor import Function, Tensor


def column_bytes(function: Function, inputs: Sequence[Tensor]) -> tuple[int, int]:
    """Return the bytes of the columns of a convolution: of the whole batch, and of the largest tile.

    Parameters
    ----------
    function : Function
        The op; (0, 0) unless it is a convolution.
    inputs : sequence of Tensor
        Images (N, H, W, CI), weights and perhaps biases.

    Returns
    -------
    (int, int)
        What a naive im2col would need, and what each thread of the engine needs.
    """
    window = getattr(function, "window", None)
    if function.name != "conv2d" or not isinstance(window, Window):
        return 0, 0
    images, weights = inputs[0].data, inputs[1].data
    N, CI = images.shape[0], images.shape[3]
    row = window.OW * window.KH * window.KW * CI * images.dtype.itemsize  # of the output
    whole = N * window.OH * row
    if window.is_pointwise:
        return whole, 0
    kernel = Im2colKernel(weights, window, getattr(function, "groups", 1))
    if N == 1:
        tiles = batch_tiles(window.OH, kernel.bytes_per_image // window.OH, images)
    else:
        tiles, row = batch_tiles(N, kernel.bytes_per_image, images), row * window.OH
    return whole, row * max(tile.stop - tile.start for tile in tiles)
