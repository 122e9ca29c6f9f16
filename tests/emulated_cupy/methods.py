"""Methods and operators of `cupy.ndarray`, attached from tables: they need the functions, which need it."""

from typing import Any

import numpy as np

from emulated_cupy.array import SCALARS, array_operand, compute, ndarray, view_of
from emulated_cupy.functions import FUNCTIONS, scatter_add, view_or_copy
from emulated_cupy.indexing import getitem, setitem
from emulated_cupy.products import dot, matmul
from emulated_cupy.ufuncs import UFUNCS

# Methods with the parameters of the function of the same name.
_AS_FUNCTIONS = [
    "sum", "prod", "mean", "max", "min", "all", "any", "var", "std", "cumsum", "round", "repeat", "take",
    "dot", "nonzero",
]  # fmt: skip
_VIEWS = [
    "squeeze", "swapaxes", "ravel", "diagonal",
]  # fmt: skip

_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}


def _is_left_to_other(other: Any) -> bool:
    """Tell whether an operand, like a Tensor, wants to do the operation itself."""
    return (
        not isinstance(other, (ndarray, *SCALARS, np.ndarray))
        and getattr(other, "__array_ufunc__", 0) is None
    )


def _operators(ufunc: Any) -> tuple[Any, Any, Any]:
    def forward(self: ndarray, other: Any) -> Any:
        return NotImplemented if _is_left_to_other(other) else ufunc(self, other)

    def reflected(self: ndarray, other: Any) -> Any:
        return NotImplemented if _is_left_to_other(other) else ufunc(other, self)

    def in_place(self: ndarray, other: Any) -> Any:
        return NotImplemented if _is_left_to_other(other) else ufunc(self, other, out=self)

    return forward, reflected, in_place


def _matmul(self: ndarray, other: Any) -> Any:
    return NotImplemented if _is_left_to_other(other) else matmul(self, other)


def _rmatmul(self: ndarray, other: Any) -> Any:
    return matmul(other, self)


def reshape(self: ndarray, *shape: Any, order: Any = "C", copy: Any = None) -> ndarray:
    wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return view_or_copy(self, lambda source: source.reshape(tuple(wanted), order=order))


def transpose(self: ndarray, *axes: Any) -> ndarray:
    return view_of(self, self._array.transpose(*axes))


def argmax(
    self: ndarray, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False
) -> ndarray:
    return FUNCTIONS["argmax"](self, axis, dtype, out, keepdims)


def argmin(
    self: ndarray, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False
) -> ndarray:
    return FUNCTIONS["argmin"](self, axis, dtype, out, keepdims)


def argsort(self: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
    return FUNCTIONS["argsort"](self, axis, kind)


def clip(self: ndarray, min: Any = None, max: Any = None, out: Any = None) -> ndarray:
    return FUNCTIONS["clip"](self, min, max, out)


def astype(
    self: ndarray, dtype: Any, order: Any = "K", casting: Any = None, subok: Any = None, copy: bool = True
) -> ndarray:
    source = array_operand(self)
    if casting is not None and not np.can_cast(source.dtype, dtype, casting):
        raise TypeError(f"Cannot cast array data from {source.dtype} to {np.dtype(dtype)}")
    if not copy and source.dtype == dtype and order in ("K", "A"):
        return self
    return compute(lambda: source.astype(dtype, order), self, layout="K")


def copy(self: ndarray, order: Any = "C") -> ndarray:
    return FUNCTIONS["copy"](self, order)


def flatten(self: ndarray, order: Any = "C") -> ndarray:
    source = array_operand(self)
    return compute(lambda: source.flatten(order), self)


def fill(self: ndarray, value: Any) -> None:
    setitem(self, Ellipsis, value)


def view(self: ndarray, dtype: Any = None, type: Any = None) -> ndarray:
    return view_of(self, self._array.view() if dtype is None else self._array.view(dtype))


def iterate(self: ndarray) -> Any:
    if not self.ndim:
        raise TypeError("iteration over a 0-d array")
    return (self[i] for i in range(len(self)))


def attach() -> None:
    """Give `ndarray` what is defined here."""
    for name in _AS_FUNCTIONS:
        setattr(ndarray, name, dot if name == "dot" else FUNCTIONS[name])
    for name in _VIEWS:
        setattr(ndarray, name, FUNCTIONS[name])
    for method in (reshape, transpose, argmax, argmin, argsort, clip, astype, copy, flatten, fill, view):
        setattr(ndarray, method.__name__, method)
    for name, ufunc in _OPERATORS.items():
        forward, reflected, in_place = _operators(UFUNCS[ufunc])
        setattr(ndarray, f"__{name}__", forward)
        setattr(ndarray, f"__r{name}__", reflected)
        setattr(ndarray, f"__i{name}__", in_place)
    for name, ufunc in _COMPARISONS.items():
        setattr(ndarray, f"__{name}__", _operators(UFUNCS[ufunc])[0])
    for name, ufunc in (("neg", "negative"), ("abs", "absolute"), ("invert", "invert")):
        setattr(ndarray, f"__{name}__", lambda self, ufunc=UFUNCS[ufunc]: ufunc(self))
    for name, function in {
        "__getitem__": getitem,
        "__setitem__": setitem,
        "__iter__": iterate,
        "__matmul__": _matmul,
        "__rmatmul__": _rmatmul,
        "scatter_add": scatter_add,
    }.items():
        setattr(ndarray, name, function)


attach()
