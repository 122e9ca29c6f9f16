"""Measurement 2, second half: all convolutions, beside cuDNN's; and cuBLAS by itself, their ceiling.

minicnn's are recorded and replayed, as in training; PyTorch's are started one by one, ahead of the GPU.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.gpu.contenders import has_torch, load_libraries
from benchmarks.gpu.kernel_cases import normal
from benchmarks.gpu.minicnn_steps import PRECISIONS
from benchmarks.gpu.notes import Notes
from benchmarks.gpu.timing import seconds_per_call
from benchmarks.workloads import Workload
from minicnn import Tensor, composed, no_grad, no_winograd, set_float32_matmul_precision
from minicnn.backend import use_device
from minicnn.cuda.products import product
from minicnn.ops import winograd
from minicnn.ops.conv import Conv2d
from minicnn.parallel import on_device_of
from minicnn.shapes import Window
from minicnn.tensor import Function, observe

DIRECTIONS = ("forward", "input gradient", "weight gradient")
CALLS, REPEATS = 6, 3


class Layer(NamedTuple):
    """A convolution on a batch.

    Attributes
    ----------
    name : str
        Workload and layer.
    x_shape, w_shape : tuple of int
        (N, H, W, CI) and (KH, KW, CI, CO).
    window : Window
    is_first : bool
        Whether it sees the images, whose gradient nobody wants.
    """

    name: str
    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    window: Window
    is_first: bool

    @property
    def flop(self) -> int:
        """Multiplications and additions, in each direction."""
        KH, KW, CI, CO = self.w_shape
        return 2 * self.x_shape[0] * self.window.OH * self.window.OW * KH * KW * CI * CO

    @property
    def described(self) -> str:
        """Name, shapes and window."""
        N, H, W, CI = self.x_shape
        KH, KW, _, CO = self.w_shape
        stride = f"/{self.window.SH}" if self.window.SH > 1 else ""
        return f"{self.name}, {N}x{H}x{W}, {KH}x{KW}{stride}, {CI} to {CO}"


def run(notes: Notes) -> None:
    """Measure the ceiling, then the convolutions, those with most work first."""
    load_libraries()
    use_device("cuda")
    notes.note(
        "product_flops", {name: product_rate(notes.sizes.product, name) for name in notes.sizes.precisions}
    )
    notes.note("convolutions", [])
    training = [workload for workload in notes.sizes.workloads() if workload.training]
    layers = [layer for workload in training for layer in distinct_convolutions(workload)]
    layers = sorted(layers, key=lambda layer: -layer.flop)[: notes.sizes.convolutions]
    for layer in layers:
        if notes.left < 3:
            notes.note("left_out", len(layers) - len(notes.found["convolutions"]))
            return
        notes.add("convolutions", measured(layer, notes.sizes.precisions))


def measured(layer: Layer, precisions: Sequence[str]) -> dict[str, Any]:
    """Time a convolution in all directions, in both precisions, by both."""
    entry: dict[str, Any] = {"layer": layer.described, "flop": layer.flop, "seconds": {}}
    contenders = {"minicnn": minicnn_seconds, "minicnn by im2col": im2col_seconds}
    if has_torch():
        contenders["cuDNN"] = cudnn_seconds
    for precision in precisions:
        for who, times in contenders.items():
            if who != "minicnn by im2col" or (precision == "float32" and winograd.fits(layer.window)):
                try:
                    entry["seconds"][f"{who}, {precision}"] = times(layer, precision)
                except Exception as error:  # noqa: BLE001 - the others go on
                    entry["problem"] = f"{who}: {type(error).__name__}: {error}"
    return entry


def convolutions_of(workload: Workload) -> list[Layer]:
    """List the convolutions of a network in the order of its forward pass, with the batch of the workload."""
    layers: list[Layer] = []

    def note(function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(function, Conv2d):
            x_shape = (workload.batch, *inputs[0].shape[1:])
            name = f"{workload.name} {function.module_path}"
            layers.append(Layer(name, x_shape, inputs[1].shape, function.window, not layers))

    image = Tensor(np.zeros((1, workload.side, workload.side, 3), np.float32))
    with no_grad(), composed(), observe(note):
        make_network(workload)(image)
    return layers


def distinct_convolutions(workload: Workload) -> list[Layer]:
    """List the convolutions of a network, each shape once."""
    layers: dict[Any, Layer] = {}
    for layer in convolutions_of(workload):
        layers.setdefault((layer.x_shape, layer.w_shape), layer)
    return list(layers.values())


def minicnn_seconds(layer: Layer, precision: str) -> list[float]:
    """Time minicnn's convolution in the three directions."""
    set_float32_matmul_precision(PRECISIONS[precision])
    x, w = normal(*layer.x_shape), normal(*layer.w_shape)

    def forward() -> Any:
        return Conv2d(layer.window).forward(x, w)

    def backward(wanted: tuple[bool, bool]) -> Callable[[], Any]:
        op = Conv2d(layer.window)
        op.needs_gradient = wanted
        gy = op.forward(x, w)
        return lambda: op.backward(gy)

    with on_device_of(x):
        runs = [forward, backward((True, False)), backward((False, True))]
        return [seconds_per_call([run], CALLS, REPEATS) for run in runs]


def im2col_seconds(layer: Layer, precision: str) -> list[float]:
    """Time it without Winograd's algorithm."""
    with no_winograd():
        return minicnn_seconds(layer, precision)


def cudnn_seconds(layer: Layer, precision: str) -> list[float]:
    """Time PyTorch's convolution, channels-last, in the three directions."""
    torch = importlib.import_module("torch")
    importlib.import_module("benchmarks.gpu.torch_steps").set_switches(precision == "TF32")
    KH, KW, CI, CO = layer.w_shape
    N, H, W, _ = layer.x_shape
    window = layer.window

    def random(*shape: int) -> Any:
        return torch.randn(shape, device="cuda").to(memory_format=torch.channels_last)

    x, w, gy = random(N, CI, H, W), random(CO, CI, KH, KW), random(N, CO, window.OH, window.OW)
    stride, padding = (window.SH, window.SW), (window.top, window.left)

    def backward(wanted: list[bool]) -> Callable[[], Any]:
        return lambda: torch.ops.aten.convolution_backward(
            gy, x, w, None, stride, padding, (1, 1), False, (0, 0), 1, [*wanted, False]
        )

    runs = [
        lambda: torch.nn.functional.conv2d(x, w, None, stride, padding),
        backward([True, False]),
        backward([False, True]),
    ]
    return [_torch_seconds(torch, run) for run in runs]


def _torch_seconds(torch: Any, run: Callable[[], Any]) -> float:
    for _ in range(2):
        run()
    times = []
    for _ in range(REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        for _ in range(CALLS):
            run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / CALLS)
    return float(np.median(times))


def product_rate(size: int, precision: str) -> float:
    """Return the operations per second of a square product."""
    set_float32_matmul_precision(PRECISIONS[precision])
    a, b, out = (normal(size, size) for _ in range(3))
    with on_device_of(a):
        seconds = seconds_per_call([lambda: product(a, b, out)], 2, REPEATS)
    sys.modules["cupy"].get_default_memory_pool().free_all_blocks()
    return 2 * size**3 / seconds
