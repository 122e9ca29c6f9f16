"""Translations of the ONNX ops that do not care what is a pixel and what a channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from minicnn import Tensor
from minicnn import functional as F
from parity.onnx_node import Node, NotExpressible
from parity.replayed_mask import ReplayedMask

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


def power(a: Tensor, b: Tensor) -> Tensor:
    """Whole exponents go in as an array: ONNX lets them differ in dtype from the base."""
    return F.power(a, b if b.dtype.kind == "f" else b.data)


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
