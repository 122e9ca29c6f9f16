"""Starts every kernel once or twice on small, awkward shapes: what compute-sanitizer looks at.

Under its eyes a kernel takes a hundred times as long; the tests, with their drawn shapes, would take hours.
"""

from __future__ import annotations

import numpy as np

from minicnn import Tensor, optim
from minicnn import functional as F
from minicnn.backend import to_device, use_device
from minicnn.cuda.random import DeviceGenerator
from minicnn.data.augmentation import Windows
from minicnn.data.normalisation import Normalisation
from minicnn.data.on_gpu import ImagesOnGPU
from minicnn.nn import Parameter
from minicnn.ops.winograd_on_gpu import GpuWinogradKernel
from minicnn.shapes import window


def main() -> None:
    """Run forward and backward passes of all ops that have kernels; and training's other kernels."""
    use_device("cuda")
    for dtype in (np.float32, np.float64):
        for channels in (8, 5):  # in packs, and one by one
            for function in ops(channels, dtype):
                x = Tensor(on_gpu((3, 9, 7, channels), dtype), requires_grad=True)
                F.sum(function(x)).backward()
        convolve_by_winograd(dtype)
        train(dtype)
    print("every kernel has run")


def on_gpu(shape: tuple[int, ...], dtype: type) -> object:
    """Draw an array, always the same."""
    return to_device(np.random.default_rng(0).normal(size=shape).astype(dtype), "cuda")


def ops(channels: int, dtype: type) -> list:
    """List functions of a tensor (N, H, W, channels)."""
    w, b = Tensor(on_gpu((3, 3, channels, 6), dtype), True), Tensor(on_gpu((6,), dtype), True)
    generator = DeviceGenerator.from_generator(np.random.default_rng(1))
    return [
        lambda x: F.conv2d_relu(x, w, b, 1, 1),
        lambda x: F.conv2d_relu(x, w, b, 2, 1),  # with col2im
        lambda x: F.max_pool2d(x, 3, 1, 1),
        lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
        lambda x: F.avg_pool2d(x, 5, 3),
        F.local_response_norm,
        lambda x: F.dropout(x, 0.4, rng=generator),
        lambda x: F.cross_entropy(F.reshape(x, (3, 9 * 7 * channels)), np.array([0, 2, 4])),
    ]


def convolve_by_winograd(dtype: type) -> None:
    """Convolve and differentiate; the op itself takes it for more channels only."""
    geometry = window("conv2d", (9, 7), 3, 1, 1)
    kernel = GpuWinogradKernel(on_gpu((3, 3, 5, 6), dtype), geometry)
    x, y, gw = (on_gpu(shape, dtype) for shape in ((3, 9, 7, 5), (3, 9, 7, 6), (3, 3, 5, 6)))
    kernel.convolve(x, out=y)
    kernel.prepare_input_gradient()
    kernel.gradients(x, y, gx=x, gw=gw)


def train(dtype: type) -> None:
    """Clip gradients, move parameters, average them, make a batch."""
    parameters = [Parameter(on_gpu((size,), dtype)) for size in (3, 70_001)]
    for parameter in parameters:
        parameter.grad = on_gpu(parameter.shape, dtype)
    optim.clip_gradients(parameters, 1.0)
    for nesterov in (False, True):
        optim.SGD(parameters, 0.1, 0.9, 1e-4, nesterov).step()
    optim.PolyakAverage(parameters, 3).update()
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 7, 3), np.uint8)
    windows = Windows(np.array([0, 4, 2]), np.array([2, 0, 3]), np.array([True, False, True]))
    on_device = ImagesOnGPU(images, Normalisation.from_images(images), np.dtype(dtype), "cuda")
    on_device.batch(np.array([3, 0, 1]), windows, (2, 2))


if __name__ == "__main__":
    main()
