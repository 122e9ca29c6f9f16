"""Universal functions: NumPy's, with CuPy's arguments, types and refusals."""

from typing import Any, NoReturn

import numpy as np

from emulated_cupy.array import array_operand, compute, ndarray, operand, output
from emulated_cupy.capture import current_capture, execute
from emulated_cupy.indexing import is_advanced, prepare, refuse_number

NAMES = [
    "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "power",
    "maximum", "minimum", "fmax", "fmin", "negative", "absolute", "sign", "exp", "exp2", "expm1", "log",
    "log2", "log10", "log1p", "sqrt", "square", "cbrt", "reciprocal", "sin", "cos", "tan", "tanh", "sinh",
    "cosh", "arctan", "floor", "ceil", "rint", "trunc", "isnan", "isinf", "isfinite", "signbit", "greater",
    "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or",
    "logical_not", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift",
    "right_shift", "abs",
]  # fmt: skip

# What the atomic operations behind `at` exist for.
_AT_TYPES = {
    "add": {"int32", "int64", "float16", "float32", "float64", "uint32", "uint64"},
    "subtract": {"int32", "uint32"},
    "maximum": {"int32", "int64", "float32", "float64", "uint32", "uint64"},
    "minimum": {"int32", "int64", "float32", "float64", "uint32", "uint64"},
}


class ufunc:
    """As `cupy.ufunc`."""

    __module__ = "cupy"

    def __init__(self, name: str) -> None:
        self._numpy: np.ufunc = getattr(np, name)
        self.__name__ = name
        self.nin, self.nout = self._numpy.nin, self._numpy.nout

    def __repr__(self) -> str:
        return f"<ufunc 'cupy_{self.__name__}'>"

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cupy.{self.__name__}.{name} is not part of the stand-in for CuPy")

    def __call__(self, *args: Any, out: Any = None, **options: Any) -> ndarray:
        if options.keys() - {"dtype", "casting"}:
            raise TypeError(f"Wrong arguments {options}")
        if len(args) == self.nin + 1 and out is None:
            *args, out = args
        if len(args) != self.nin:
            raise TypeError(f"Wrong number of arguments for {self!r}")
        if isinstance(out, tuple):
            (out,) = out
        function, operands = self._numpy, [operand(arg) for arg in args]
        if out is None:
            return compute(lambda: function(*operands, **options), args)
        target = output(out)
        shapes = [getattr(x, "shape", ()) for x in operands]
        if target.shape not in shapes and np.broadcast_shapes(*shapes) != target.shape:
            raise ValueError("Out shape is mismatched")
        if current_capture() is not None:  # find out now whether it can be done
            with np.errstate(all="ignore"):
                function(*operands, out=np.empty_like(target), **options)
        execute(lambda: function(*operands, out=target, **options), keep=(args, out))
        return out

    def reduce(
        self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> ndarray:
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy.{self.__name__}.reduce` is not part of the stand-in")
        function, source = self._numpy, array_operand(array)
        if out is None:
            return compute(lambda: function.reduce(source, axis=axis, dtype=dtype, keepdims=keepdims), array)
        write_result(lambda: function.reduce(source, axis=axis, dtype=dtype, keepdims=keepdims), out, array)
        return out

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        types = _AT_TYPES.get(self.__name__)
        if types is None:
            raise NotImplementedError(f"`cupy.{self.__name__}.at` is not part of the stand-in")
        target, value = output(a), operand(b)
        if target.dtype.name not in types:
            raise TypeError(f"cupy.{self.__name__}.at only supports {', '.join(sorted(types))} as data type")
        places, function = prepare(a, indices), self._numpy
        if is_advanced(indices):
            refuse_number(b)
        execute(lambda: function.at(target, places(), value), keep=(a, indices, b))


def write_result(function: Any, out: Any, keep: Any) -> None:
    """Copy what `function` returns into `out`, if that is allowed."""
    target = output(out)
    with np.errstate(all="ignore"):
        value = np.asarray(function())
    if value.shape != target.shape:
        raise ValueError(f"Output array has shape {target.shape}, expected {value.shape}")
    if not np.can_cast(value.dtype, target.dtype, "same_kind"):
        raise TypeError(f"output (dtype {value.dtype}) could not be coerced to {target.dtype}")
    if current_capture() is None:
        np.copyto(target, value, casting="same_kind")
    else:
        execute(lambda: np.copyto(target, function(), casting="same_kind"), keep=(keep, out))


UFUNCS = {name: ufunc(name) for name in NAMES}
