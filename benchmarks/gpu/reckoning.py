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
from minicnn.ops.winograd_on_gpu import PATCH, pays
from minicnn.parallel import GPU_TILE_BYTES

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


def tiles_of(images: int, image_bytes: int, tile_bytes: int) -> tuple[int, int]:
    """Return how many tiles a batch is cut into, and how many images the largest of them has."""
    tiles = max(1, min(images, math.ceil(images * image_bytes / tile_bytes)))
    return tiles, math.ceil(images / tiles)


def im2col_seconds(layer: Layer, gpu: Gpu, tile_bytes: int, training: bool) -> float:
    """Add up a convolution's products and columns, forward and, for training, backward."""
    N, H, W, CI = layer.x_shape
    KH, KW, _, CO = layer.w_shape
    window = layer.window
    pixels, taps = window.OH * window.OW, KH * KW
    patches = 0 if window.is_pointwise else taps
    tiles, n = tiles_of(N, pixels * (patches * CI + CI + CO) * NUMBER, tile_bytes)

    def columns(channels: int) -> float:
        return gpu.move(n * (H * W + pixels * taps) * channels) if patches else 0.0

    seconds = columns(CI) + gpu.multiply(n * pixels, CO, taps * CI)
    if training:
        seconds += columns(CI) + gpu.multiply(taps * CI, CO, n * pixels)
        if not layer.is_first:
            seconds += columns(CO) + gpu.multiply(n * H * W, CI, taps * CO)
    return tiles * seconds


def winograd_seconds(layer: Layer, gpu: Gpu, tile_bytes: int, training: bool) -> float:
    """Add up a convolution's products and transforms, forward and, for training, backward."""
    N, H, W, CI = layer.x_shape
    CO = layer.w_shape[3]
    window = layer.window
    blocks = math.prod(winograd.count_blocks(window))
    tiles, n = tiles_of(N, PATCH * blocks * (CI + CO) * NUMBER, tile_bytes)
    x, y, filters = n * H * W * CI, n * window.OH * window.OW * CO, 9 * CI * CO
    V, M, U = (PATCH * numbers for numbers in (n * blocks * CI, n * blocks * CO, CI * CO))
    transform_filters = gpu.move(filters + U)

    def convolve(CI: int, CO: int) -> float:
        """One way as the other: x and V, M and y change places in the gradient of x."""
        return gpu.move(x + V) + gpu.multiply(n * blocks, CO, CI, PATCH) + gpu.move(M + y)

    seconds = transform_filters + tiles * convolve(CI, CO)
    if training:
        of_filters = gpu.move(x + V) + gpu.move(y + M) + gpu.multiply(CI, CO, n * blocks, PATCH)
        seconds += tiles * (of_filters + transform_filters)
        if not layer.is_first:
            seconds += transform_filters + tiles * convolve(CO, CI)
    return seconds


def seconds_as_installed(layer: Layer, gpu: Gpu, tile_bytes: int, training: bool) -> float:
    """Let minicnn choose the algorithm."""
    N, _, _, CI = layer.x_shape
    taken = winograd.fits(layer.window) and pays(layer.window, CI, layer.w_shape[3], N)
    return (winograd_seconds if taken else im2col_seconds)(layer, gpu, tile_bytes, training)


def report(gpu: Gpu, tiles: Sequence[int] = FULL.tiles) -> str:
    """Write tables of tiles and of algorithms, for the networks that gpu-check measures."""
    rows, by_layer = [], []
    for workload in FULL.workloads():
        layers = convolutions_of(workload)
        for name, seconds in (("im2col", im2col_seconds), ("with Winograd", seconds_as_installed)):
            totals = [sum(seconds(layer, gpu, tile, workload.training) for layer in layers) for tile in tiles]
            rows.append([f"{workload.title}, {name}", *(f"{1e3 * total:.1f}" for total in totals)])
        for layer in layers:
            if workload.training and winograd.fits(layer.window):
                by_im2col, by_winograd = (
                    way(layer, gpu, GPU_TILE_BYTES, True) for way in (im2col_seconds, winograd_seconds)
                )
                cells = f"{1e3 * by_im2col:.3f}", f"{1e3 * by_winograd:.3f}", f"{by_im2col / by_winograd:.2f}"
                by_layer.append([layer.described, *cells])
    tflops, gigabytes = gpu.product_flops / 1e12, gpu.copy_rate / 1e9
    note = (
        f"Reckoned, not measured: {gpu.cores} multiprocessors, {tflops:g} TFLOP/s in products and "
        f"{gigabytes:g} GB/s in copies. Milliseconds of all convolutions of a step, by tiles in MiB:"
    )
    by_layer_note = f"3x3 convolutions in training, ms, with tiles of {GPU_TILE_BYTES / MIB:g} MiB:"
    return "\n\n".join([
        note, table(["", *(f"{tile / MIB:g}" for tile in tiles)], rows),
        by_layer_note, table(["", "im2col", "Winograd", "times as fast"], by_layer),
    ])  # fmt: skip
