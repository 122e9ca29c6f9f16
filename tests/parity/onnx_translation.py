"""Run ONNX models on minicnn: one small function for each op, from NCHW to NHWC and back.

Each function takes the node's attributes and inputs and returns its output. Inputs and outputs are minicnn
Tensors; settings that ONNX hands over as inputs (axes, shapes, labels) are taken from their data. What
minicnn has no words for raises NotExpressible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from minicnn import Tensor
from minicnn import functional as F
from parity.replayed_mask import ReplayedMask


class NotExpressible(Exception):
    """The model asks for something that minicnn does not do."""


class Node:
    """A node of a graph: attributes with their defaults, inputs with None for those left out."""

    def __init__(
        self, proto: onnx.NodeProto, inputs: list[Tensor | None], opset: int, expected: list[np.ndarray]
    ) -> None:
        self.attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
        self.inputs = inputs
        self.outputs = len(proto.output)
        self.opset = opset
        self.expected = expected  # for dropout only, whose randomness everybody makes differently

    def get(self, name: str, default: Any = None) -> Any:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def input(self, index: int) -> Tensor | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def only_output(self) -> None:
        if self.outputs > 1:
            raise NotExpressible("a second output")


def run_model(
    model: onnx.ModelProto, inputs: list[np.ndarray], expected: list[np.ndarray]
) -> list[np.ndarray]:
    """Compute the outputs of a model. `expected` tells dropout what was kept."""
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    values = {t.name: Tensor(numpy_helper.to_array(t)) for t in model.graph.initializer}
    names = [value.name for value in model.graph.input]
    names = names if len(inputs) == len(names) else [name for name in names if name not in values]
    for name, array in zip(names, inputs, strict=True):
        values[name] = Tensor(array, requires_grad=array.dtype.kind == "f")
    for proto in model.graph.node:
        if proto.op_type == "Gradient":
            results = gradient(proto, values)
        else:
            node = Node(proto, [values.get(name) for name in proto.input], opset, expected)
            results = TRANSLATIONS[proto.op_type](node)
        results = results if isinstance(results, tuple) else (results,)
        values.update(zip(proto.output, results, strict=True))
    return [values[output.name].data for output in model.graph.output]


def gradient(proto: onnx.NodeProto, values: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The one op that wants the backward pass: dy/dx for each x that it names."""
    attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
    values[attributes["y"].decode()].backward()
    return tuple(Tensor(values[name.decode()].grad) for name in attributes["xs"])


# ---- images -----------------------------------------------------------------------------------------


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
    if node.inputs[0].dtype.kind != "f":
        raise NotExpressible("maxima of integers")
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


# ---- activations and losses -------------------------------------------------------------------------


def softmax_along(function: Callable[[Tensor, int], Tensor]) -> Callable[[Node], Tensor]:
    def translate(node: Node) -> Tensor:
        x = node.inputs[0]
        if node.opset >= 13:
            return function(x, node.get("axis", -1))
        # Until then softmax ran over all axes from the given one on.
        axis = node.get("axis", 1) % x.ndim
        rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
        return function(rows, 1).reshape(x.shape)

    return translate


def dropout(node: Node) -> Tensor | tuple[Tensor, Tensor]:
    x, ratio, training = node.inputs[0], node.input(1), node.input(2)
    p = node.get("ratio", 0.5) if ratio is None else ratio.item()
    expected_y, *expected_mask = node.expected
    kept = expected_mask[0] if expected_mask else expected_y != 0
    y = F.dropout(x, p, bool(training is not None and training.item()), ReplayedMask(kept))
    return (y, Tensor(y.data != 0)) if node.outputs == 2 else y


def rows_of_classes(node: Node) -> tuple[Tensor, np.ndarray]:
    """Scores (N, C, ...) and labels (N, ...) as (samples, C) and (samples,)."""
    scores, labels = node.inputs[0], node.inputs[1].data
    if node.input(2) is not None:
        raise NotExpressible("weights of the classes")
    if "ignore_index" in node.attributes:
        raise NotExpressible("labels to ignore")
    last = scores.transpose(0, *range(2, scores.ndim), 1)
    return last.reshape(-1, scores.shape[1]), labels.reshape(-1)


def softmax_cross_entropy(node: Node) -> Tensor | tuple[Tensor, Tensor]:
    rows, labels = rows_of_classes(node)
    reduction = node.get("reduction", "mean")
    loss = F.cross_entropy(rows, labels, reduction)
    loss = loss.reshape(node.inputs[1].shape) if reduction == "none" else loss
    return (loss, F.log_softmax(node.inputs[0], 1)) if node.outputs == 2 else loss


def negative_log_likelihood(node: Node) -> Tensor:
    """No op of its own in minicnn: the log-probabilities of the labels are picked by indexing."""
    rows, labels = rows_of_classes(node)
    losses = -rows[np.arange(len(labels)), labels]
    reduction = node.get("reduction", "mean")
    if reduction == "none":
        return losses.reshape(node.inputs[1].shape)
    return losses.mean() if reduction == "mean" else losses.sum()


# ---- arithmetic, reductions, shapes -----------------------------------------------------------------


def elementwise(function: Callable[[Tensor], Tensor]) -> Callable[[Node], Tensor]:
    return lambda node: function(node.inputs[0])


def binary(function: Callable[[Any, Any], Tensor]) -> Callable[[Node], Tensor]:
    def translate(node: Node) -> Tensor:
        a, b = node.inputs
        if "axis" in node.attributes:  # before opset 7: b's axes begin at this one of a's
            b = b.reshape(*b.shape, *[1] * (a.ndim - b.ndim - node.get("axis")))
        return function(a, b)

    return translate


def divide(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.kind != "f":
        raise NotExpressible("division that leaves whole numbers")
    return F.divide(a, b)


def power(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.kind != "f" and b.dtype.kind == "f":
        raise NotExpressible("fractional powers that leave whole numbers")
    return F.power(a, b.data if b.dtype.kind != "f" else b)


def reduction(function: Callable[..., Tensor]) -> Callable[[Node], Tensor]:
    def translate(node: Node) -> Tensor:
        axes = axes_of(node)
        everything = not axes and not node.get("noop_with_empty_axes", 0)
        return function(node.inputs[0], None if everything else axes, bool(node.get("keepdims", 1)))

    return translate


def gemm(node: Node) -> Tensor:
    a, b, c = node.inputs[0], node.inputs[1], node.input(2)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.transpose() if node.get("transA", 0) else a
    b = b.transpose() if node.get("transB", 0) else b
    is_linear = alpha == beta == 1 and (c is None or c.shape in {(b.shape[1],), (1, b.shape[1])})
    if is_linear:
        return F.linear(a, b, None if c is None else c.reshape(-1))
    y = alpha * (a @ b)
    return y if c is None else y + beta * c


def reshape(node: Node) -> Tensor:
    x, sizes = node.inputs[0], node.inputs[1].data.tolist()
    if not node.get("allowzero", 0):  # then 0 means: as it was
        sizes = [size or x.shape[i] for i, size in enumerate(sizes)]
    return F.reshape(x, sizes)


def constant(node: Node) -> Tensor:
    (value,) = node.attributes.values()
    return Tensor(numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.array(value))


def axes_of(node: Node) -> tuple[int, ...]:
    """An attribute in old opsets, an input in new ones."""
    given = node.input(1)
    return tuple(node.get("axes", ()) if given is None else given.data.tolist())


def squeeze(node: Node) -> Tensor:
    x = node.inputs[0]
    return x.reshape(np.squeeze(x.data, axes_of(node) or None).shape)


def unsqueeze(node: Node) -> Tensor:
    x = node.inputs[0]
    return x.reshape(np.expand_dims(x.data, axes_of(node)).shape)


def transpose(node: Node) -> Tensor:
    return F.transpose(node.inputs[0], *node.get("perm", []))


def flatten(node: Node) -> Tensor:
    x, axis = node.inputs[0], node.get("axis", 1)
    return F.flatten(x) if axis == 1 else x.reshape(int(np.prod(x.shape[:axis])), -1)


TRANSLATIONS: dict[str, Callable[[Node], Tensor | tuple[Tensor, ...]]] = {
    "Add": binary(F.add),
    "AveragePool": average_pool,
    "Concat": lambda node: F.concat(node.inputs, node.get("axis")),
    "Constant": constant,
    "Conv": conv,
    "Div": binary(divide),
    "Dropout": dropout,
    "Exp": elementwise(F.exp),
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "LRN": lrn,
    "Log": elementwise(F.log),
    "LogSoftmax": softmax_along(F.log_softmax),
    "MatMul": binary(F.matmul),
    "MaxPool": max_pool,
    "Mul": binary(F.multiply),
    "Neg": elementwise(F.negate),
    "NegativeLogLikelihoodLoss": negative_log_likelihood,
    "Pow": binary(power),
    "ReduceMax": reduction(F.max),
    "ReduceMean": reduction(F.mean),
    "ReduceSum": reduction(F.sum),
    "Relu": elementwise(F.relu),
    "Reshape": reshape,
    "Sigmoid": elementwise(F.sigmoid),
    "Softmax": softmax_along(F.softmax),
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
    "Sqrt": elementwise(F.sqrt),
    "Squeeze": squeeze,
    "Sub": binary(F.subtract),
    "Tanh": elementwise(F.tanh),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
