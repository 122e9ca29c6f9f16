"""The functions of the module `cupy`, from tables: which there are, with CuPy's parameters.

What can be left to NumPy is; what differs, or needs the device, is written out below.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from emulated_cupy.array import (
    array_operand,
    check_device,
    compute,
    ndarray,
    new_array,
    operand,
    output,
    view_of,
)
from emulated_cupy.capture import current_capture, execute, refuse_during_capture
from emulated_cupy.indexing import is_advanced, prepare, refuse_number, take
from emulated_cupy.memory import poison_new
from emulated_cupy.ufuncs import write_result

# New arrays, computed from the first argument.
_REDUCE = "a, axis=None, dtype=None, out=None, keepdims=False"
_FIND = "a, axis=None, out=None, keepdims=False"
COMPUTED = {
    "sum": _REDUCE,
    "prod": _REDUCE,
    "mean": _REDUCE,
    "max": _FIND,
    "min": _FIND,
    "amax": _FIND,
    "amin": _FIND,
    "all": _FIND,
    "any": _FIND,
    "argmax": _REDUCE,
    "argmin": _REDUCE,
    "var": "a, axis=None, dtype=None, out=None, ddof=0, keepdims=False",
    "std": "a, axis=None, dtype=None, out=None, ddof=0, keepdims=False",
    "cumsum": "a, axis=None, dtype=None, out=None",
    "argsort": "a, axis=-1, kind=None",
    "sort": "a, axis=-1, kind=None",
    "repeat": "a, repeats, axis=None",
    "tile": "A, reps",
    "flip": "a, axis=None",
    "roll": "a, shift, axis=None",
    "round": "a, decimals=0, out=None",
    "around": "a, decimals=0, out=None",
    "count_nonzero": "a, axis=None",
    "nan_to_num": "x, copy=True, nan=0.0, posinf=None, neginf=None",
    "pad": "array, pad_width, mode='constant', **kwargs",
}
# New arrays, computed from a sequence of arrays.
JOINED = {
    "concatenate": "tup, axis=0, out=None, *, dtype=None, casting='same_kind'",
    "stack": "tup, axis=0, out=None, *, dtype=None, casting='same_kind'",
    "hstack": "tup, *, dtype=None, casting='same_kind'",
    "vstack": "tup, *, dtype=None, casting='same_kind'",
}
# New arrays, computed from two operands, of which one may be a number.
PAIRED = {
    "array_equal": "a1, a2, equal_nan=False",
    "allclose": "a, b, rtol=1e-05, atol=1e-08, equal_nan=False",
    "isclose": "a, b, rtol=1e-05, atol=1e-08, equal_nan=False",
}
# Views, or copies where there can be none.
VIEWS = {
    "reshape": "a, newshape, order='C', *, copy=None",
    "transpose": "a, axes=None",
    "swapaxes": "a, axis1, axis2",
    "squeeze": "a, axis=None",
    "expand_dims": "a, axis",
    "broadcast_to": "array, shape",
    "ravel": "a, order='C'",
    "moveaxis": "a, source, destination",
    "rollaxis": "a, axis, start=0",
    "diagonal": "a, offset=0, axis1=0, axis2=1",
}
# More small arrays than these are joined by one kernel, with a table of where they are.
_MOST_COPIED = 8
_LARGE = 2 << 20  # bytes of an array, on average
_NUMPY_CALLS_IT = {"newshape": "shape"}


def _table(entries: dict[str, str], make: Callable[[str, inspect.Signature], Any]) -> dict[str, Any]:
    functions = {}
    for name, parameters in entries.items():
        signature = inspect.signature(eval(f"lambda {parameters}: None"))
        function = make(name, signature)
        function.__name__ = name
        function.__signature__ = signature
        functions[name] = function
    return functions


def _bound(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments by the names that NumPy knows them by; those left out, or None, are not there."""
    arguments = signature.bind(*args, **kwargs).arguments
    arguments.update(arguments.pop("kwargs", {}))
    return {_NUMPY_CALLS_IT.get(name, name): v for name, v in arguments.items() if v is not None}


def _finish(function: Callable[[], Any], out: Any, keep: Any) -> ndarray:
    if out is None:
        return compute(function, keep)
    write_result(function, out, keep)
    return out


def _computed(name: str, signature: inspect.Signature) -> Any:
    numpy_function = getattr(np, name)
    first = next(iter(signature.parameters))

    def function(*args: Any, **kwargs: Any) -> ndarray:
        arguments = _bound(signature, args, kwargs)
        array, out = arguments.pop(first), arguments.pop("out", None)
        source = array_operand(array)
        if name == "nan_to_num":
            refuse_during_capture("nan_to_num, which makes arrays of its numbers")
        return _finish(lambda: numpy_function(source, **arguments), out, array)

    return function


def _joined(name: str, signature: inspect.Signature) -> Any:
    numpy_function = getattr(np, name)

    def function(*args: Any, **kwargs: Any) -> ndarray:
        arguments = _bound(signature, args, kwargs)
        arrays, out = arguments.pop("tup"), arguments.pop("out", None)
        if type(arrays) is ndarray:
            arrays = [arrays[i] for i in range(len(arrays))]
        sources = [array_operand(array) for array in arrays]
        _refuse_table(name, sources, arguments.get("dtype") if out is None else out.dtype)
        return _finish(lambda: numpy_function(sources, **arguments), out, arrays)

    return function


def _refuse_table(name: str, sources: list[np.ndarray], dtype: Any) -> None:
    """Refuse to join arrays during a capture if CuPy would send a table of them."""
    dtype = np.result_type(*sources) if dtype is None else np.dtype(dtype)
    if (
        len(sources) > _MOST_COPIED
        and all(source.dtype == dtype for source in sources)
        and sum(source.nbytes for source in sources) < _LARGE * len(sources)
    ):
        refuse_during_capture(f"{name} of {len(sources)} arrays")


def _paired(name: str, signature: inspect.Signature) -> Any:
    numpy_function = getattr(np, name)

    def function(*args: Any, **kwargs: Any) -> ndarray:
        first, second, *others = _bound(signature, args, kwargs).items()
        a, b = operand(first[1]), operand(second[1])
        if name == "array_equal" and (a.shape != b.shape or len(others)):
            refuse_during_capture(f"{name} of arrays of different shapes, or with equal_nan")
        if not (type(first[1]) is type(second[1]) is ndarray):
            refuse_during_capture(f"{name} with a number")
        return compute(lambda: numpy_function(a, b, **dict(others)), (first, second))

    return function


def _view(name: str, signature: inspect.Signature) -> Any:
    numpy_function = getattr(np, name)
    first = next(iter(signature.parameters))

    def function(*args: Any, **kwargs: Any) -> ndarray:
        arguments = _bound(signature, args, kwargs)
        array = arguments.pop(first)
        if type(array) is not ndarray:
            raise TypeError(f"{name}: expected cupy.ndarray, got {type(array)}")
        return view_or_copy(array, lambda source: numpy_function(source, **arguments))

    return function


def view_or_copy(array: ndarray, function: Callable[[np.ndarray], np.ndarray]) -> ndarray:
    """Wrap the view that `function` returns; if it returns a copy, that is an operation."""
    source = array._array
    result = function(source)
    if result.size == 0 or np.may_share_memory(result, source):
        if result.flags.writeable is False:
            result = np.lib.stride_tricks.as_strided(source, result.shape, result.strides)
        return view_of(array, result)
    check_device(array)
    return compute(lambda: function(source), array)


# ---- new arrays ----


def _filled(shape: Any, dtype: Any, order: str, value: Any) -> ndarray:
    array = ndarray(shape, dtype, order=order)
    target = array._array
    execute(lambda: target.fill(value), keep=array)
    return array


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _filled(shape, dtype, order, 0)


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _filled(shape, dtype, order, 1)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    if dtype is None:
        dtype = fill_value.dtype if hasattr(fill_value, "dtype") else np.array(fill_value).dtype
    array = ndarray(shape, dtype, order=order)
    array[...] = fill_value
    return array


def _like(a: Any, dtype: Any, order: str, shape: Any) -> ndarray:
    if type(a) is not ndarray:
        raise TypeError(f"expected cupy.ndarray, got {type(a)}")
    if shape is None:
        shape, layout = a.shape, np.empty_like(a._array, dtype, order)
    else:
        layout = None
    array = new_array(tuple(shape), np.dtype(dtype or a.dtype), like=layout)
    poison_new(array._memory, array._array)
    return array


def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    return _like(prototype, dtype, order, shape)


def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    return full_like(a, 0, dtype, order, subok, shape)


def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    return full_like(a, 1, dtype, order, subok, shape)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    array = _like(a, dtype, order, shape)
    array[...] = fill_value
    return array


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    if stop is None:
        start, stop = 0, start
    if dtype is not None and np.dtype(dtype) == bool:
        refuse_during_capture("arange of bool")
    return compute(lambda: np.arange(start, stop, step, dtype), None)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: str = "C") -> ndarray:
    return compute(lambda: np.eye(N, M, k, dtype), None)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> ndarray:
    return compute(lambda: np.linspace(start, stop, num, endpoint, dtype=dtype), None)


def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    if subok:
        raise NotImplementedError("subok is not supported")
    if type(obj) is ndarray:
        result = _of_array(obj, dtype, copy, order)
    else:
        if copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        refuse_during_capture("making an array of host data")
        order = "C" if order in ("K", "A", None) else order
        value = np.array(obj, dtype, order=order)
        if isinstance(obj, np.ndarray) and obj.ndim > 1 and obj.flags.fnc and order != "C":
            value = np.asfortranarray(value)
        result = compute(lambda: value, None, layout="K")
    while result.ndim < ndmin:
        result = result[None]
    return result


def _of_array(obj: ndarray, dtype: Any, copy: Any, order: Any) -> ndarray:
    """Copy an array of any device to the current one, where that is needed or wanted."""
    source, order = obj._array, order or "K"
    dtype = source.dtype if dtype is None else np.dtype(dtype)
    is_laid_out = {"C": source.flags.c_contiguous, "F": source.flags.f_contiguous}.get(order, True)
    is_here = obj.device.id == _device_id()
    if not copy and dtype == source.dtype and is_laid_out and is_here:
        return obj
    if copy is False:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return compute(lambda: source.astype(dtype, order=order), obj, layout="K")


def _device_id() -> int:
    from emulated_cupy.session import session

    return session.thread.device


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False
) -> ndarray:
    return array(a, dtype, copy, order)


def asanyarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False
) -> ndarray:
    return array(a, dtype, copy, order)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    source = array_operand(a)
    if source.flags.c_contiguous and dtype in (None, source.dtype) and source.ndim:
        return a
    return compute(lambda: np.ascontiguousarray(source, dtype), a)


def asfortranarray(a: Any, dtype: Any = None) -> ndarray:
    source = array_operand(a)
    if source.flags.f_contiguous and dtype in (None, source.dtype):
        return a
    return compute(lambda: np.asfortranarray(source, dtype), a, layout="K")


def copy(a: Any, order: str = "K") -> ndarray:
    source = array_operand(a)
    return compute(lambda: source.copy(order), a, layout="K")


def asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> np.ndarray:
    return a.get(stream, order, out) if type(a) is ndarray else np.asarray(a)


# ---- the others ----


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return nonzero(condition)
    c, a, b = operand(condition), operand(x), operand(y)
    return compute(lambda: np.where(c, a, b), (condition, x, y))


def nonzero(a: Any) -> tuple[ndarray, ...]:
    refuse_during_capture("nonzero")
    return tuple(compute(lambda part=part: part, None) for part in np.nonzero(array_operand(a)))


def argwhere(a: Any) -> ndarray:
    refuse_during_capture("argwhere")
    source = array_operand(a)
    return compute(lambda: np.argwhere(source), a)


def flatnonzero(a: Any) -> ndarray:
    return nonzero(a.ravel())[0]


def clip(a: Any, a_min: Any, a_max: Any, out: Any = None) -> ndarray:
    source = array_operand(a)
    low = None if a_min is None else operand(a_min)
    high = None if a_max is None else operand(a_max)
    return _finish(lambda: np.clip(source, low, high), out, (a, a_min, a_max))


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[ndarray]:
    return [view_of(ary, part) for part in np.split(array_operand(ary), indices_or_sections, axis)]


def take_along_axis(a: Any, indices: Any, axis: int | None) -> ndarray:
    source, places = array_operand(a), array_operand(indices)
    if places.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if axis is not None and source.ndim != places.ndim:
        raise ValueError("`indices` and `a` must have the same number of dimensions")
    size = source.size if axis is None else source.shape[axis]
    return compute(lambda: np.take_along_axis(source, np.remainder(places, max(size, 1)), axis), (a, indices))


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int) -> None:
    target, places, source = output(arr), array_operand(indices), operand(values)
    refuse_number(values)
    size = max(target.shape[axis], 1)
    if current_capture() is not None:
        np.put_along_axis(np.empty_like(target), np.remainder(places, size), source, axis)
    execute(
        lambda: np.put_along_axis(target, np.remainder(places, size), source, axis),
        keep=(arr, indices, values),
    )


def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = None) -> None:
    target, source = output(dst), operand(src)
    mask: Any = True if where is None else operand(where)
    if current_capture() is not None:
        np.copyto(np.empty_like(target), source, casting, where=mask)
    execute(lambda: np.copyto(target, source, casting, where=mask), keep=(dst, src, where))


def scatter_add(self: ndarray, slices: Any, value: Any) -> None:
    """`ndarray.scatter_add`."""
    target, places, source = output(self), prepare(self, slices), operand(value)
    if is_advanced(slices):
        refuse_number(value)
    execute(lambda: np.add.at(target, places(), source), keep=(self, slices, value))


def bincount(x: Any, weights: Any = None, minlength: Any = None) -> ndarray:
    refuse_during_capture("bincount")
    source, w = array_operand(x), None if weights is None else array_operand(weights)
    return compute(lambda: np.bincount(source, w, minlength or 0), (x, weights))


def as_strided(x: Any, shape: Any = None, strides: Any = None) -> ndarray:
    """`cupy.lib.stride_tricks.as_strided`: like CuPy's, the result has no base."""
    if type(x) is not ndarray:
        raise TypeError(f"expected cupy.ndarray, got {type(x)}")
    return ndarray(shape or x.shape, x.dtype, memptr=x.data, strides=strides or x.strides)


def get_array_module(*args: Any) -> Any:
    import sys

    return sys.modules["cupy"] if any(type(arg) is ndarray for arg in args) else np


FUNCTIONS = (
    _table(COMPUTED, _computed)
    | _table(JOINED, _joined)
    | _table(PAIRED, _paired)
    | _table(VIEWS, _view)
    | {
        function.__name__: function
        for function in (
            empty, zeros, ones, full, empty_like, zeros_like, ones_like, full_like, arange, eye, linspace,
            array, asarray, asanyarray, ascontiguousarray, asfortranarray, copy, asnumpy,
            where, nonzero, argwhere, flatnonzero, clip, split, take, take_along_axis, put_along_axis, copyto,
            bincount, get_array_module,
        )
    }
)  # fmt: skip
