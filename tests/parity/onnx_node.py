"""A node of an ONNX graph, as the translations want to see it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from minicnn import Tensor


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
