"""Run ONNX models on minicnn, op by op.

A translation takes a node (attributes and inputs) and returns its output. Inputs and outputs are minicnn
Tensors; settings that ONNX hands over as inputs (axes, shapes, labels) are taken from their data. What
minicnn has no words for raises NotExpressible.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from minicnn import Tensor
from minicnn import functional as F
from parity.onnx_images import average_pool, conv, global_average_pool, lrn, max_pool
from parity.onnx_node import Node
from parity.onnx_plain_ops import (
    binary,
    constant,
    dropout,
    elementwise,
    flatten,
    gemm,
    negative_log_likelihood,
    power,
    reduction,
    reshape,
    softmax_along,
    softmax_cross_entropy,
    squeeze,
    transpose,
    unsqueeze,
)

TRANSLATIONS: dict[str, Callable[[Node], Tensor | tuple[Tensor, ...]]] = {
    "Add": binary(F.add),
    "AveragePool": average_pool,
    "Concat": lambda node: F.concat(node.inputs, node.get("axis")),
    "Constant": constant,
    "Conv": conv,
    "Div": binary(F.divide),
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
