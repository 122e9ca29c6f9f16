"""Our kernels on GoogLeNet's shapes, and how many bytes each has to move at least.

Counted is what has to be read and written once if the cache were perfect: every input, every output.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.gpu.sizes import Sizes
from minicnn import optim
from minicnn.cuda.launch import C_TYPES, THREADS, launch
from minicnn.cuda.random import DeviceGenerator
from minicnn.ops import winograd_on_gpu
from minicnn.ops.avg_pool import AvgPool2d
from minicnn.ops.bias_relu import add_bias, mask_and_sum
from minicnn.ops.cross_entropy import CrossEntropy
from minicnn.ops.im2col import col2im, im2col
from minicnn.ops.lrn import LocalResponseNorm
from minicnn.ops.max_pool import MaxPoolKernel
from minicnn.ops.winograd import count_blocks
from minicnn.ops.winograd_on_gpu import PATCH
from minicnn.shapes import Window, window

Shape = tuple[int, ...]
Run = Callable[[], Any]
FLOAT = np.dtype(np.float32)
OUT = object()  # stands for the array that a function writes into


class KernelCase(NamedTuple):
    """One kernel on one shape.

    Attributes
    ----------
    kernel, where : str
        Its name; the layer and the shape.
    bytes : int
        What it has to move.
    make : callable
        Returns a function that starts it on arrays of its own.
    """

    kernel: str
    where: str
    bytes: int
    make: Callable[[], Run]


def floats(*shapes: Shape) -> int:
    """Count the bytes of float32 arrays.

    Examples
    --------
    >>> floats((2, 3), (5,))
    44
    """
    return FLOAT.itemsize * sum(map(math.prod, shapes))


def normal(*shape: int) -> Any:
    """Draw an array on the GPU; what is in it does not matter, but zeros would be too easy."""
    cupy = sys.modules["cupy"]
    some = np.random.default_rng(0).normal(size=min(math.prod(shape), 4096)).astype(FLOAT)
    return cupy.asarray(np.resize(some, math.prod(shape)).reshape(shape))


def kernel_cases(sizes: Sizes) -> Iterator[KernelCase]:
    """List all of them."""
    n, m, side = sizes.small[0], sizes.large[0], sizes.side
    for layer, shape in (
        ("norm1", (n, side(32), side(32), 64)),
        ("norm2", (n, side(32), side(32), 192)),
        ("norm2, 224", (m, side(56), side(56), 192)),
    ):
        yield from lrn_cases(layer, shape)
    for layer, shape, stride in (
        ("pool2", (n, side(32), side(32), 192), 2),
        ("inception3b", (n, side(16), side(16), 256), 1),
        ("inception4e", (n, side(8), side(8), 528), 1),
        ("pool1, 224", (m, side(112), side(112), 64), 2),
    ):
        yield from max_pool_cases(layer, shape, stride)
    yield from avg_pool_cases("aux1", (n, side(8), side(8), 512))
    part, large_part = max(1, n // 8), max(1, m // 4)
    yield from im2col_cases("conv2", (part, side(32), side(32), 64), 3, 1, 1)
    yield from im2col_cases("inception3b.conv5x5", (part, side(16), side(16), 32), 5, 1, 2)
    yield from im2col_cases("conv1, 224", (large_part, side(224), side(224), 3), 7, 2, 3)
    yield from winograd_cases("conv2", (n, side(32), side(32), 64), 192)
    yield from winograd_cases("inception4e", (n, side(8), side(8), 160), 320)
    yield from winograd_cases("inception3b, 224", (m, side(28), side(28), 128), 192)
    yield from bias_cases("conv2", (n, side(32), side(32), 192))
    yield from bias_cases("inception3a", (n, side(16), side(16), 256))
    yield from cross_entropy_cases("main", (n, 10))
    yield from cross_entropy_cases("main, 224", (m, 1000))
    yield dropout_case("aux1", (n, 1024))
    yield dropout_case("large", (n, 65536))
    yield from parameter_cases(sizes)
    yield augment_case("crop and mirror", (n, side(32), side(32), 3))
    yield augment_case("crop and mirror, 224", (m, side(224), side(224), 3))


def described(layer: str, shape: Shape) -> str:
    """Name a layer with its shape.

    Examples
    --------
    >>> described("norm1", (2, 4, 4, 3))
    'norm1, 2x4x4x3'
    """
    return f"{layer}, {'x'.join(map(str, shape))}"


def lrn_cases(layer: str, shape: Shape) -> Iterator[KernelCase]:
    """Forward reads x and writes y; backward reads x and gy and writes gx."""
    where = described(layer, shape)

    def forward() -> Run:
        x = normal(*shape)
        return lambda: LocalResponseNorm(5, 1e-4, 0.75, 1.0).forward(x)

    def backward() -> Run:
        op, gy = LocalResponseNorm(5, 1e-4, 0.75, 1.0), normal(*shape)
        op.forward(normal(*shape))
        return lambda: op.backward(gy)

    yield KernelCase("lrn_forward", where, floats(shape, shape), forward)
    yield KernelCase("lrn_backward", where, floats(shape, shape, shape), backward)


def max_pool_cases(layer: str, shape: Shape, stride: int) -> Iterator[KernelCase]:
    """Forward reads x, writes y and the winners' places (a byte each); backward reads these and writes gx."""
    N, H, W, C = shape
    w = window("max_pool2d", (H, W), 3, stride, 1 if stride == 1 else 0, ceil_mode=stride > 1)
    y_shape = (N, w.OH, w.OW, C)
    where = f"{described(layer, shape)}, 3x3/{stride}"
    kernel = MaxPoolKernel(w)

    def forward() -> Run:
        x, y = normal(*shape), normal(*y_shape)
        winners = kernel.empty_winners(x)
        return lambda: kernel.maximum(x, y, winners)

    def backward() -> Run:
        x, y = normal(*shape), normal(*y_shape)
        winners = kernel.empty_winners(x)
        kernel.maximum(x, y, winners)
        return lambda: kernel.give_to_winners(y, winners, x)

    moved = floats(shape, y_shape) + math.prod(y_shape)
    yield KernelCase("max_pool_forward", where, moved, forward)
    yield KernelCase("max_pool_backward", where, moved, backward)


def avg_pool_cases(layer: str, shape: Shape) -> Iterator[KernelCase]:
    """Read one side, write the other."""
    N, H, W, C = shape
    w = window("avg_pool2d", (H, W), 5, 3, 0)
    y_shape = (N, w.OH, w.OW, C)
    where = f"{described(layer, shape)}, 5x5/3"

    def started(kernel: str, pixels: int, source: Shape, target: Shape) -> Callable[[], Run]:
        def make() -> Run:
            op = AvgPool2d(w, True)
            x, y = normal(*source), normal(*target)
            count = op._count(x)
            return lambda: op._launch(kernel, pixels, x, count, y)

        return make

    moved = floats(shape, y_shape)
    yield KernelCase(
        "avg_pool_forward", where, moved, started("avg_pool_forward", N * w.OH * w.OW, shape, y_shape)
    )
    yield KernelCase(
        "avg_pool_backward", where, moved, started("avg_pool_backward", N * H * W, y_shape, shape)
    )


def im2col_cases(layer: str, shape: Shape, kernel: int, stride: int, padding: int) -> Iterator[KernelCase]:
    """Im2col reads the images and writes the columns; col2im does the reverse."""
    w = window("conv2d", shape[1:3], kernel, stride, padding)
    cols_shape = columns_shape(shape, w)
    where = f"{described(layer, shape)}, {kernel}x{kernel}/{stride}"

    def forward() -> Run:
        x = normal(*shape)
        return lambda: im2col(x, w)

    def backward() -> Run:
        gcols, gx = normal(*cols_shape), normal(*shape)
        return lambda: col2im(gcols, w, out=gx)

    yield KernelCase("im2col", where, floats(shape, cols_shape), forward)
    yield KernelCase("col2im", where, floats(shape, cols_shape), backward)


def winograd_cases(layer: str, shape: Shape, CO: int) -> Iterator[KernelCase]:
    """The transforms of a 3x3 convolution: each reads one side and writes the other."""
    N, H, W, CI = shape
    w = window("conv2d", (H, W), 3, 1, 1)
    where = f"{described(layer, shape)} to {CO}"
    patches = N * math.prod(count_blocks(w))
    x, y, filters = shape, (N, H, W, CO), (3, 3, CI, CO)
    V, M, U = (PATCH, patches, CI), (PATCH, patches, CO), (PATCH, CI, CO)

    def case(transform: Callable[..., Any], source: Shape, target: Shape, *arguments: Any) -> KernelCase:
        def make() -> Run:
            array = normal(*source)
            given = [normal(*target) if argument is OUT else argument for argument in arguments]
            return lambda: transform(array, *given)

        return KernelCase(transform.__name__, where, floats(source, target), make)

    yield case(winograd_on_gpu.input_transform, x, V, w)
    yield case(winograd_on_gpu.output_transform, M, y, w, OUT)
    yield case(winograd_on_gpu.output_transform_backward, y, M, w)
    yield case(winograd_on_gpu.filter_transform, filters, U)
    yield case(winograd_on_gpu.filter_transform_backward, U, filters, OUT)


def columns_shape(shape: Shape, w: Window) -> Shape:
    """Return the shape of the patches as rows: (1, N*OH*OW, KH*KW*C)."""
    return (1, shape[0] * w.OH * w.OW, w.KH * w.KW * shape[3])


def bias_cases(layer: str, shape: Shape) -> Iterator[KernelCase]:
    """Forward reads and writes y; backward reads gy and y and writes gz; biases are small."""
    where = described(layer, shape)

    def forward() -> Run:
        y, b = normal(*shape), normal(shape[-1])
        return lambda: add_bias(y, b, relu=True)

    def backward() -> Run:
        gy, y, gz, gb = normal(*shape), normal(*shape), normal(*shape), normal(shape[-1])
        return lambda: mask_and_sum(gy, y, gz, gb)

    yield KernelCase("add_bias", where, floats(shape, shape, shape[-1:]), forward)
    yield KernelCase("mask_and_sum_rows", where, floats(shape, shape, shape, shape[-1:]), backward)


def cross_entropy_cases(layer: str, shape: Shape) -> Iterator[KernelCase]:
    """Forward reads logits and labels, writes two numbers a sample; backward reads all that, writes gx."""
    N, K = shape
    where = described(layer, shape)

    def op() -> tuple[CrossEntropy, Any]:
        labels = sys.modules["cupy"].asarray(np.arange(N) % K)
        return CrossEntropy(labels, "none"), normal(*shape)

    def forward() -> Run:
        op_, x = op()
        return lambda: op_.forward(x)

    def backward() -> Run:
        op_, x = op()
        op_.forward(x)
        gy = normal(N)
        return lambda: op_.backward(gy)

    yield KernelCase("cross_entropy_forward", where, floats(shape, (N,), (N,)) + 8 * N, forward)
    yield KernelCase("cross_entropy_backward", where, floats(shape, shape, (N,), (N,)) + 8 * N, backward)


def dropout_case(layer: str, shape: Shape) -> KernelCase:
    """A mask is only written."""

    def make() -> Run:
        generator = DeviceGenerator.from_generator(np.random.default_rng(0))
        return lambda: generator.dropout_mask(shape, 0.4, FLOAT)

    return KernelCase("dropout_mask", described(layer, shape), floats(shape), make)


def parameter_cases(sizes: Sizes) -> Iterator[KernelCase]:
    """SGD reads w, g, v and writes w, v; averaging reads w, a and writes a; clipping reads g twice."""
    workload = sizes.workloads()[0]
    count = make_network(workload).num_parameters()
    where = f"all {count:,} parameters"

    def parameters() -> list[Any]:
        network = make_network(workload).to("cuda")
        for parameter in network.parameters():
            parameter.grad = sys.modules["cupy"].full(parameter.shape, 1e-3, FLOAT)
        return network.parameters()

    def step() -> Run:
        return optim.SGD(parameters(), lr=1e-4, momentum=0.9, nesterov=True).step

    def average() -> Run:
        return optim.PolyakAverage(parameters(), 100).update

    def clip() -> Run:
        given = parameters()
        return lambda: optim.clip_gradients(given, 1.0)

    yield KernelCase("sgd_step", where, 5 * FLOAT.itemsize * count, step)
    yield KernelCase("move_average", where, 3 * FLOAT.itemsize * count, average)
    yield KernelCase("sums_of_squares, clip", where, 3 * FLOAT.itemsize * count, clip)


def augment_case(layer: str, shape: Shape) -> KernelCase:
    """Bytes are read, numbers are written."""
    N, H, W, C = shape

    def make() -> Run:
        xp = sys.modules["cupy"]
        images = xp.asarray(np.zeros(shape, np.uint8))
        chosen, shift = xp.asarray(np.arange(N)), xp.asarray((np.arange(N) % 9 - 4).astype(np.int32))
        mirrored = xp.asarray((np.arange(N) % 2).astype(np.uint8))
        mean, std, x = normal(C), normal(C), normal(*shape)
        pixels = N * H * W
        return lambda: launch(
            "augment.cu", f"choose_crop_mirror_normalise<{C_TYPES[FLOAT]}>",
            (-(-pixels // THREADS),), (THREADS,),
            images, chosen, shift, shift, mirrored, mean, std, x, pixels, H, W, C,
        )  # fmt: skip

    return KernelCase(
        "choose_crop_mirror_normalise", described(layer, shape), floats(shape) + math.prod(shape), make
    )
