"""Translations of ONNX's image ops: from NCHW to NHWC and back, and windows in minicnn's words."""

from __future__ import annotations

from typing import Any

from minicnn import Tensor
from minicnn import functional as F
from parity.onnx_node import Node, NotExpressible


def to_nhwc(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H, W, C); (N, C, W) becomes an image of height 1."""
    if x.ndim == 3:
        x = x.reshape(*x.shape[:2], 1, x.shape[2])
    if x.ndim != 4:
        raise NotExpressible(f"images of {x.ndim - 2} dimensions")
    return x.transpose(0, 2, 3, 1)


def to_nchw(y: Tensor, like: Tensor) -> Tensor:
    y = y.transpose(0, 3, 1, 2)
    return y.reshape(y.shape[0], y.shape[1], y.shape[3]) if like.ndim == 3 else y


def window(node: Node, image: tuple[int, int], kernel: list[int]) -> dict[str, Any]:
    """Kernel, stride and padding in minicnn's words."""
    one_dimensional = len(kernel) == 1
    ones = [1] * len(kernel)
    if node.get("dilations", ones) != ones:
        raise NotExpressible("dilation")
    strides = node.get("strides", ones)
    begin_and_end = node.get("pads", [0] * (2 * len(kernel)))
    pads = list(zip(begin_and_end[: len(kernel)], begin_and_end[len(kernel) :], strict=True))
    sizes = image[1:] if one_dimensional else image
    if node.get("auto_pad", "NOTSET").startswith("SAME"):
        pads = [
            same_padding(node.get("auto_pad"), *axis) for axis in zip(sizes, kernel, strides, strict=True)
        ]
    if one_dimensional:
        kernel, strides, pads = [1, *kernel], [1, *strides], [(0, 0), *pads]
    return {"kernel_size": tuple(kernel), "stride": tuple(strides), "padding": tuple(pads)}


def same_padding(kind: str, size: int, kernel: int, stride: int) -> tuple[int, int]:
    """As much padding as ceil(size / stride) windows need; SAME_UPPER puts an odd pixel at the end."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return (total // 2, total - total // 2) if kind == "SAME_UPPER" else (total - total // 2, total // 2)


def conv(node: Node) -> Tensor:
    x, weight, bias = node.inputs[0], node.inputs[1], node.input(2)
    pixels = to_nhwc(x)
    settings = window(node, pixels.shape[1:3], list(weight.shape[2:]))
    filters = to_nhwc(weight).transpose(1, 2, 3, 0)  # (CO, KH, KW, CI) -> (KH, KW, CI, CO)
    y = F.conv2d(pixels, filters, bias, settings["stride"], settings["padding"], node.get("group", 1))
    return to_nchw(y, x)


def max_pool(node: Node) -> Tensor:
    node.only_output()
    pixels = to_nhwc(node.inputs[0])
    settings = window(node, pixels.shape[1:3], node.get("kernel_shape"))
    return to_nchw(F.max_pool2d(pixels, **settings, ceil_mode=bool(node.get("ceil_mode", 0))), node.inputs[0])


def average_pool(node: Node) -> Tensor:
    pixels = to_nhwc(node.inputs[0])
    settings = window(node, pixels.shape[1:3], node.get("kernel_shape"))
    modes = {
        "ceil_mode": bool(node.get("ceil_mode", 0)),
        "count_include_pad": bool(node.get("count_include_pad", 0)),
    }
    return to_nchw(F.avg_pool2d(pixels, **settings, **modes), node.inputs[0])


def global_average_pool(node: Node) -> Tensor:
    y = F.global_avg_pool2d(to_nhwc(node.inputs[0]))
    return y.reshape(*y.shape, 1, 1)


def lrn(node: Node) -> Tensor:
    """Even windows reach one channel further up in ONNX, one further down in minicnn: mirror images."""
    x = node.inputs[0].transpose(0, 2, 3, 1)
    constants = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    y = F.local_response_norm(x[..., ::-1], node.get("size"), *constants)[..., ::-1]
    return y.transpose(0, 3, 1, 2)
