"""Indexing: views, and gathering and scattering with arrays of indices.

As in CuPy, places outside of an axis are not found out on the device: they wrap round. Lists and NumPy arrays
of indices are copied to the device, which cannot be captured; and so are numbers that are scattered. Nor can
masks be captured, because the number of their elements has to be known on the host.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from emulated_cupy.array import check_device, compute, ndarray, operand, output, view_of
from emulated_cupy.capture import current_capture, execute, refuse_during_capture

Index = Callable[[], Any]  # what NumPy is indexed with, at the time the operation runs


def getitem(self: ndarray, index: Any) -> ndarray:
    if not is_advanced(index):
        view = self._array[_with_ellipsis(index)]
        return view_of(self, view)
    array, places = self._array, prepare(self, index)
    check_device(self)
    return compute(lambda: array[places()], (self, index))


def setitem(self: ndarray, index: Any, value: Any) -> None:
    advanced = is_advanced(index)
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        if advanced:
            raise TypeError(f"Unsupported type {type(value)}")
        raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
    target, source = output(self), operand(value)
    if not advanced:
        target = target[_with_ellipsis(index)]
        _check_fits(target, source)
        execute(lambda: np.copyto(target, source, casting="unsafe"), keep=(self, value))
        return
    places = prepare(self, index)
    refuse_number(value)
    if current_capture() is not None:  # find out now whether it fits
        np.copyto(np.empty(target[places()].shape, target.dtype), source, casting="unsafe")
    execute(lambda: target.__setitem__(places(), source), keep=(self, index, value))


def refuse_number(value: Any) -> None:
    """Refuse to scatter a number during a capture: CuPy makes an array of it."""
    if type(value) is not ndarray:
        refuse_during_capture("scattering a number")


def _check_fits(target: np.ndarray, source: Any) -> None:
    shape = getattr(source, "shape", ())
    if shape != target.shape:
        while len(shape) > target.ndim and shape[0] == 1:
            shape = shape[1:]
        if np.broadcast_shapes(shape, target.shape) != target.shape:
            raise ValueError(f"could not broadcast input array from shape {shape} into shape {target.shape}")


def _with_ellipsis(index: Any) -> Any:
    """Make sure that NumPy returns a view, also of a single element."""
    index = index if isinstance(index, tuple) else (index,)
    return index if any(part is Ellipsis for part in index) else (*index, Ellipsis)


def is_advanced(index: Any) -> bool:
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, (ndarray, np.ndarray, list, tuple, bool, np.bool_)):
            return True
    return False


def prepare(array: ndarray, index: Any) -> Index:
    """Return a function that gives NumPy's index, with the values that the arrays in it have by then."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [_on_device(part) for part in parts]
    used = sum(_axes_of(part) for part in parts)
    if used > array.ndim:
        raise IndexError(
            f"too many indices for array: array is {array.ndim}-dimensional, but {used} were indexed"
        )
    axis = 0
    sizes: list[int] = []  # of the axis that each part looks into
    for part in parts:
        if part is Ellipsis:
            axis += array.ndim - used
            sizes.append(0)
        else:
            sizes.append(array.shape[axis] if _axes_of(part) else 0)
            axis += _axes_of(part)

    def places() -> Any:
        return tuple(
            np.remainder(part, max(size, 1)) if _is_places(part) else part
            for part, size in zip(parts, sizes, strict=True)
        )

    return places


def _is_places(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind in "iu"


def _axes_of(part: Any) -> int:
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


def _on_device(part: Any) -> Any:
    if type(part) is ndarray:
        check_device(part)
        part = part._array
    elif isinstance(part, (np.ndarray, list, tuple, bool, np.bool_)):
        refuse_during_capture("indexing with an array of the host")
        part = np.asarray(part) if not isinstance(part, (list, tuple)) or len(part) else np.zeros(0, np.int32)
    else:
        return part
    if part.dtype.kind == "b":
        refuse_during_capture("indexing with a mask")
    elif part.dtype.kind not in "iu":
        raise IndexError(
            f"arrays used as indices must be of integer or boolean type. (actual: {part.dtype.type})"
        )
    return part


def take(a: ndarray, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
    check_device(a)
    source, places = a._array, _on_device([indices] if isinstance(indices, int) else indices)
    if isinstance(indices, (int, np.integer)):
        places = np.asarray(indices)
    if not isinstance(places, np.ndarray) or places.dtype.kind not in "iu":
        raise IndexError("take: indices must be integers")
    if out is None:
        return compute(lambda: np.take(source, places, axis, mode="wrap"), (a, indices))
    target = output(out)
    execute(lambda: np.copyto(target, np.take(source, places, axis, mode="wrap")), keep=(a, indices, out))
    return out
