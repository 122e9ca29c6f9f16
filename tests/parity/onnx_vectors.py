"""The ONNX project's test vectors for the ops that minicnn has.

A vector is a small model (most often a single op) with inputs and the outputs that are expected. The package
`onnx` brings two kinds: those that its Python files make when they are imported ("node"), and older ones
that were stored from PyTorch and others ("pytorch-converted", "pytorch-operator", "simple").
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

# The ops that minicnn has, by their ONNX names, and those that only serve them in a few of the models.
OPS = {
    "Add", "AveragePool", "Concat", "Conv", "Div", "Dropout", "Exp", "Flatten", "Gemm", "GlobalAveragePool",
    "LRN", "Log", "LogSoftmax", "MatMul", "MaxPool", "Mul", "Neg", "NegativeLogLikelihoodLoss", "Pow",
    "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Sigmoid", "Softmax",
    "SoftmaxCrossEntropyLoss", "Sqrt", "Sub", "Tanh", "Transpose",
}  # fmt: skip
HELPERS = {"Constant", "Gradient", "Squeeze", "Unsqueeze"}


class Vector(NamedTuple):
    """One model, what goes in and what has to come out."""

    name: str
    model: onnx.ModelProto
    data_sets: list[tuple[list[np.ndarray], list[np.ndarray]]]

    @property
    def op_types(self) -> tuple[str, ...]:
        """The ops of minicnn that the model is made of."""
        return tuple(dict.fromkeys(n.op_type for n in self.model.graph.node if n.op_type in OPS))


@functools.cache
def collect() -> dict[str, Vector]:
    """All vectors whose models consist of nothing but the ops of minicnn, by name."""
    with warnings.catch_warnings():
        # The onnx package computes its vectors while it is imported; some, mostly of other ops, overflow or
        # divide by zero on purpose.
        warnings.simplefilter("ignore", RuntimeWarning)
        cases = load_model_tests(kind="node")
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        cases = cases + load_model_tests(kind=kind)
    vectors = {}
    for case in cases:
        model = case.model or onnx.load(Path(case.model_dir) / "model.onnx")
        types = {node.op_type for node in model.graph.node}
        if types & OPS and types <= OPS | HELPERS:
            data_sets = case.data_sets or stored_data_sets(Path(case.model_dir))
            vectors[case.name] = Vector(case.name, model, [(arrays(i), arrays(o)) for i, o in data_sets])
    return vectors


def stored_data_sets(folder: Path) -> list[tuple[list[Any], list[Any]]]:
    def tensors(data_set: Path, kind: str) -> list[onnx.TensorProto]:
        count = len(list(data_set.glob(f"{kind}_*.pb")))
        return [onnx.load_tensor(data_set / f"{kind}_{i}.pb") for i in range(count)]

    data_sets = sorted(folder.glob("test_data_set_*"))
    return [(tensors(data_set, "input"), tensors(data_set, "output")) for data_set in data_sets]


def arrays(values: list[Any]) -> list[np.ndarray]:
    """Return tensors as arrays, whichever of the two they are."""
    return [
        onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else np.asarray(v) for v in values
    ]
