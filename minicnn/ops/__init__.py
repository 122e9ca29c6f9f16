"""The ops, one to a file, and the table that gives tensors their operators.

`minicnn.tensor` knows no op, and every op needs `Tensor`: so the operators are attached here, in one
place, when the ops are first imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn.ops import arithmetic, elementwise, matmul, reductions, relu, shaping
from minicnn.tensor import Tensor


def _reflected(function: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: function(other, self)


_OPERATORS = {
    "__add__": arithmetic.add,
    "__radd__": _reflected(arithmetic.add),
    "__sub__": arithmetic.subtract,
    "__rsub__": _reflected(arithmetic.subtract),
    "__mul__": arithmetic.multiply,
    "__rmul__": _reflected(arithmetic.multiply),
    "__truediv__": arithmetic.divide,
    "__rtruediv__": _reflected(arithmetic.divide),
    "__pow__": arithmetic.power,
    "__rpow__": _reflected(arithmetic.power),
    "__matmul__": matmul.matmul,
    "__rmatmul__": _reflected(matmul.matmul),
    "__neg__": arithmetic.negate,
    "__getitem__": shaping.getitem,
    "sum": reductions.sum,
    "mean": reductions.mean,
    "max": reductions.max,
    "reshape": shaping.reshape,
    "transpose": shaping.transpose,
    "exp": elementwise.exp,
    "log": elementwise.log,
    "sqrt": elementwise.sqrt,
    "relu": relu.relu,
}

for _name, _function in _OPERATORS.items():
    setattr(Tensor, _name, _function)
