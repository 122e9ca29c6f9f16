"""`cupy.ndarray`: a NumPy array in guarded memory, wrapped so that nothing can be had from it by accident.

It is no NumPy array: NumPy's functions refuse it, and it refuses NumPy's arrays. Operators and methods are
attached in `methods.py`.
"""

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from emulated_cupy.capture import current_capture, record
from emulated_cupy.memory import Allocation, MemoryPointer, alloc, poison_new
from emulated_cupy.session import session

SCALARS = (int, float, complex, np.generic)


class Flags:
    """The flags that CuPy has."""

    def __init__(self, array: "ndarray") -> None:
        self.c_contiguous = array._array.flags.c_contiguous
        self.f_contiguous = array._array.flags.f_contiguous
        self.owndata = array.base is None
        self.fnc = self.f_contiguous and not self.c_contiguous
        self.forc = self.f_contiguous or self.c_contiguous

    def __getitem__(self, name: str) -> bool:
        return bool(getattr(self, name.lower()))


class ndarray:
    """As `cupy.ndarray`."""

    __slots__ = ("__weakref__", "_array", "_memory", "base")
    __module__ = "cupy"
    __hash__ = None
    # NumPy's operators leave arrays and scalars to ours, its ufuncs raise TypeError.
    __array_ufunc__ = None

    _array: np.ndarray
    _memory: Allocation
    base: "ndarray | None"

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        shape, dtype = _shape(shape), np.dtype(dtype)
        if memptr is None:
            if strides is not None:
                raise ValueError("memptr is needed when strides are given")
            memptr = alloc(math.prod(shape) * dtype.itemsize)
            memptr.mem.use.shape, memptr.mem.use.dtype = shape, dtype
            fresh = True
        else:
            fresh = False
        self._memory = memptr.mem
        self.base = None
        offset = memptr.ptr - memptr.mem.ptr
        self._array = np.ndarray(shape, dtype, self._memory.body, offset, strides, order)
        if fresh:
            poison_new(self._memory, self._array)

    # ---- what it is ----

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    @property
    def itemsize(self) -> int:
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    @property
    def strides(self) -> tuple[int, ...]:
        return self._array.strides

    @property
    def flags(self) -> Flags:
        return Flags(self)

    @property
    def device(self) -> Any:
        return self._memory.device

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(self._memory, self._array.ctypes.data - self._memory.ptr)

    @property
    def T(self) -> "ndarray":
        return view_of(self, self._array.T)

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of unsized object")
        return len(self._array)

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        raise TypeError(
            f"numpy.{function.__name__} of a cupy.ndarray: CuPy would do it, but say "
            f"array_module(x).{function.__name__}"
        )

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cupy.ndarray.{name} is not part of the stand-in for CuPy")

    # ---- values on the host ----

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        from emulated_cupy.capture import refuse_during_capture

        refuse_during_capture("ndarray.get")
        if out is None:
            return self._array.copy(order="C" if order == "A" else order)
        if out.dtype != self.dtype or out.shape != self.shape:
            raise TypeError(f"get: out has shape {out.shape} and dtype {out.dtype}")
        out[...] = self._array
        return out

    def set(self, arr: Any, stream: Any = None) -> None:
        from emulated_cupy.capture import refuse_during_capture

        refuse_during_capture("ndarray.set")
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self._array.flags.c_contiguous or self._array.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        self._array[...] = arr

    def item(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __index__(self) -> int:
        return self.get().__index__()

    def __complex__(self) -> complex:
        return complex(self.get())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        return bool(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec else self, spec) if spec else str(self)


def _shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(size) for size in shape)


# ---- making arrays ----


def new_array(
    shape: tuple[int, ...], dtype: Any, order: str = "C", like: np.ndarray | None = None
) -> ndarray:
    """Return an array whose content is left to the caller, perhaps laid out as `like`."""
    pointer = alloc(math.prod(shape) * dtype.itemsize)
    pointer.mem.use.shape, pointer.mem.use.dtype = shape, dtype
    array = object.__new__(ndarray)
    array._memory = pointer.mem
    array.base = None
    strides = None if like is None else like.strides
    offset = pointer.ptr - pointer.mem.ptr
    array._array = np.ndarray(shape, dtype, pointer.mem.body, offset, strides, order)
    return array


def view_of(array: ndarray, view: np.ndarray) -> ndarray:
    """Wrap a NumPy view into the memory of `array`. As in CuPy, the base is the array that is no view."""
    wrapped = object.__new__(ndarray)
    wrapped._array = view
    wrapped._memory = array._memory
    wrapped.base = array if array.base is None else array.base
    return wrapped


def compute(function: Callable[[], Any], keep: Any, layout: str = "C") -> ndarray:
    """Return what `function` returns, in a new array.

    During a capture its values do not exist yet. The shape does, and it does not depend on values (functions
    with which it does refuse to be captured); so `function` is run on what is there, for the shape only.
    """
    capture = current_capture()
    with np.errstate(all="ignore"):
        value = function()
    if type(value) is not np.ndarray:
        value = np.asarray(value)
    if value.dtype.kind not in "biufc":
        raise TypeError(f"Unsupported dtype {value.dtype}")
    result = new_array(value.shape, value.dtype, like=value if layout == "K" else None)
    target = result._array
    if capture is None:
        np.copyto(target, value)
    else:
        poison_new(result._memory, target)
        record(capture, lambda: np.copyto(target, function()), (keep, result))
    return result


# ---- operands ----


def check_device(array: ndarray) -> None:
    """Refuse an array that is not on the current device; there is no peer access."""
    here, there = session.thread.device, array._memory.device_id
    if here != there:
        raise ValueError(
            f"The device where the array resides ({there}) is different from the current device ({here}). "
            "Peer access is unavailable between these devices."
        )


def operand(value: Any) -> Any:
    """Return what NumPy computes with in place of an operand: an array of ours, or a number."""
    if type(value) is ndarray:
        if value._memory.device_id != session.thread.device:
            check_device(value)
        return value._array
    if isinstance(value, SCALARS):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value[()]
    raise TypeError(f"Unsupported type {type(value)}")


def array_operand(value: Any) -> np.ndarray:
    """Likewise, where CuPy insists on an array."""
    if type(value) is not ndarray:
        raise TypeError(f"expected cupy.ndarray, got {type(value)}")
    check_device(value)
    return value._array


def output(value: Any) -> np.ndarray:
    """Likewise, for an array that is written to."""
    if type(value) is not ndarray:
        raise TypeError(f"Output arguments type must be cupy.ndarray, got {type(value)}")
    check_device(value)
    return value._array
