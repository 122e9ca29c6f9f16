"""How long a GPU should take for the convolutions of a step: from their shapes and two rates, without a GPU.

A product is cut into blocks of its result, which the cores take in turns; in the last turn some of them may
be idle. And whatever is read or written passes through the memory. The longer of the two times counts.

    turns    = ceil(blocks / cores)
    seconds  = max(turns * operations of a block / rate of a core, bytes / rate of the memory) + a start

Caches are left out, and all that cuBLAS does well or badly. So this compares ways of doing the same work
(im2col or Winograd's algorithm, small tiles or large ones); it does not foretell milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.gpu.parts.convolutions import Layer, convolutions_of
from benchmarks.gpu.report import table
from benchmarks.gpu.sizes import FULL, MIB
from minicnn.ops import winograd
from minicnn.ops.winograd_on_gpu import LEAST_CHANNELS, PLACES

NUMBER = 4  # bytes
START = 2e-6  # seconds from one kernel to the next in a recorded graph
# Rows and columns of a block of the result, and what such blocks reach of the rate: small ones read more for
# each multiplication.
BLOCKS = ((128, 128, 1.0), (128, 64, 0.85), (64, 64, 0.65))
PARTS = (1, 2, 4, 8, 16, 32)  # into which a long sum may be cut, so that there are more blocks
LEAST_PART = 64


@dataclass(frozen=True)
class Gpu:
    """What is to be known of a GPU.

    Attributes
    ----------
    product_flops : float
        Operations per second of a large matrix product.
    copy_rate : float
        Bytes per second, read and written, of a copy within its memory.
    cores : int
        Multiprocessors.
    """

    product_flops: float
    copy_rate: float
    cores: int

    def move(self, numbers: float) -> float:
        """Seconds of a kernel that reads and writes so many numbers."""
        return numbers * NUMBER / self.copy_rate + START

    def multiply(self, M: int, N: int, K: int, count: int = 1) -> float:
        """Seconds of `count` products (M, K) @ (K, N), with the blocks that suit them best."""
        times = []
        for rows, columns, efficiency in BLOCKS:
            for parts in PARTS:
                if parts > 1 and K / parts < LEAST_PART:
                    continue
                blocks = count * parts * math.ceil(M / rows) * math.ceil(N / columns)
                operations = 2 * rows * columns * math.ceil(K / parts)
                turns = math.ceil(blocks / self.cores)
                adding_up = self.move(count * M * N * (parts + 1)) if parts > 1 else 0.0
                times.append(turns * operations * self.cores / (self.product_flops * efficiency) + adding_up)
        return max(min(times), count * (M * K + K * N + M * N) * NUMBER / self.copy_rate) + START


def im2col_seconds(layer: Layer, gpu: Gpu, tile_bytes: int, training: bool) -> float:
    """Add up a convolution's products and columns, forward and, for training, backward."""
    N, H, W, CI = layer.x_shape
    KH, KW, _, CO = layer.w_shape
    window = layer.window
    pixels, taps = window.OH * window.OW, KH * KW
    patches = 0 if window.is_pointwise else taps
    image_bytes = pixels * (patches * CI + CI + CO) * NUMBER
    tiles = max(1, min(N, math.ceil(N * image_bytes / tile_bytes)))
    images = math.ceil(N / tiles)
    M = images * pixels

    def columns(channels: int) -> float:
        return gpu.move(images * (H * W + pixels * taps) * channels) if patches else 0.0

    seconds = columns(CI) + gpu.multiply(M, CO, taps * CI)
    if training:
        seconds += columns(CI) + gpu.multiply(taps * CI, CO, M)
        if not layer.is_first:
            seconds += columns(CO) + gpu.multiply(images * H * W, CI, taps * CO)
    return tiles * seconds


def winograd_seconds(layer: Layer, gpu: Gpu, training: bool) -> float:
    """Add up products and transforms, of the whole batch at once: there are 36 products to fill the cores."""
    N, H, W, CI = layer.x_shape
    CO = layer.w_shape[3]
    window = layer.window
    patches = N * math.prod(winograd.count_blocks(window))
    x, y, filters = N * H * W * CI, N * window.OH * window.OW * CO, 9 * CI * CO
    V, M, U = (PLACES * numbers for numbers in (patches * CI, patches * CO, CI * CO))

    def convolve(image: int, V: int, CI: int, M: int, CO: int, result: int) -> float:
        transforms = gpu.move(filters + U) + gpu.move(image + V) + gpu.move(M + result)
        return transforms + gpu.multiply(patches, CO, CI, PLACES)

    seconds = convolve(x, V, CI, M, CO, y)
    if training:
        transforms = gpu.move(x + V) + gpu.move(y + M) + gpu.move(U + filters)
        seconds += transforms + gpu.multiply(CI, CO, patches, PLACES)
        if not layer.is_first:
            seconds += convolve(y, M, CO, V, CI, x)
    return seconds


def report(gpu: Gpu, tiles: Sequence[int] = FULL.tiles) -> str:
    """Write tables of tiles and of algorithms, for the networks that gpu-check measures."""
    tflops, gigabytes = gpu.product_flops / 1e12, gpu.copy_rate / 1e9
    note = (
        f"Reckoned, not measured. {gpu.cores} multiprocessors, {tflops:g} TFLOP/s in products and "
        f"{gigabytes:g} GB/s in copies. Milliseconds of all convolutions of a step, by tiles in MiB; "
        "in the last column with Winograd's algorithm where it is faster."
    )
    by_layer_note = (
        f"3x3 convolutions in training, ms. Winograd's algorithm is taken from {LEAST_CHANNELS} channels on."
    )
    rows, by_layer = [], []
    for workload in FULL.workloads():
        layers = convolutions_of(workload)
        times = [
            sum(im2col_seconds(layer, gpu, tile, workload.training) for layer in layers) for tile in tiles
        ]
        total = 0.0
        for layer in layers:
            by_im2col = im2col_seconds(layer, gpu, tiles[-1], workload.training)
            total += by_im2col
            if winograd.fits(layer.window):
                by_winograd = winograd_seconds(layer, gpu, workload.training)
                total += min(0.0, by_winograd - by_im2col)
                if workload.training:
                    by_layer.append([
                        layer.described, f"{1e3 * by_im2col:.3f}", f"{1e3 * by_winograd:.3f}",
                        f"{by_im2col / by_winograd:.2f}",
                    ])  # fmt: skip
        rows.append([workload.title, *(f"{1e3 * t:.1f}" for t in times), f"{1e3 * total:.1f}"])
    heading = ["", *(f"{tile / MIB:g}" for tile in tiles), "Winograd"]
    by_layer_heading = ["", "im2col", "Winograd", "times as fast"]
    return "\n\n".join([note, table(heading, rows), by_layer_note, table(by_layer_heading, by_layer)])
