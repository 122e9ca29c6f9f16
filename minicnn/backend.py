"""Which array library an array belongs to, and where it lives.

The ops never ask "are we on the GPU?". They take the array module from the arrays they are given:

    xp = array_module(x)      # numpy or cupy
    y = xp.maximum(x, 0)

so the same line runs on both. CuPy is imported only when somebody asks for a CUDA device.
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.cuda.memory import explained
from minicnn.errors import DeviceError

# A NumPy or a CuPy array. CuPy is optional, so the type cannot be spelled out.
Array = Any


def is_array(value: object) -> bool:
    """Tell whether `value` is a NumPy or CuPy array."""
    return isinstance(value, np.ndarray) or type(value).__module__.partition(".")[0] == "cupy"


def array_module(array: Array) -> ModuleType:
    """Return `numpy` or `cupy`, whichever `array` belongs to."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    if not is_array(array):
        raise TypeError(f"expected a NumPy or CuPy array, got {type(array).__name__}")
    return sys.modules["cupy"]


def device_of(array: Array) -> str:
    """Return "cpu" or "cuda:<index>"."""
    return "cpu" if array_module(array) is np else f"cuda:{array.device.id}"


def to_numpy(array: Array) -> np.ndarray:
    """Copy `array` to a NumPy array; a NumPy array is returned as it is."""
    return array if array_module(array) is np else array.get()


def to_device(array: Array, device: str) -> Array:
    """Move `array` to "cpu", "cuda" (the first GPU) or "cuda:<index>"; no copy if it is there already."""
    index = device_index(device)
    if index is None:
        return to_numpy(array)
    cupy = _import_cupy(device)
    try:
        with cupy.cuda.Device(index):
            return cupy.asarray(array)
    except MemoryError as error:
        raise explained(error, f"moving an array of shape {tuple(array.shape)}") from None


def device_index(device: str) -> int | None:
    """Return the number of the GPU that "cuda" or "cuda:<number>" means, None for "cpu".

    Examples
    --------
    >>> device_index("cuda"), device_index("cuda:1"), device_index("cpu")
    (0, 1, None)
    """
    kind, colon, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if kind == "cpu" and not colon:
        return None
    if kind != "cuda" or (colon and not (index.isascii() and index.isdigit())):
        raise DeviceError(f'device: expected "cpu", "cuda" or "cuda:<number>", got "{device}"')
    return int(index or 0)


def use_device(device: str) -> None:
    """Make "cuda" or "cuda:<number>" the GPU on which this thread works; for "cpu", do nothing.

    Raises
    ------
    DeviceError
        If there is no such device, or it cannot be used.
    """
    index = device_index(device)
    if index is not None:
        _import_cupy(device).cuda.Device(index).use()


@functools.cache
def _import_cupy(device: str) -> ModuleType:
    """Import CuPy and see that it can use the device; if it cannot, the doctor says why and what to type."""
    from minicnn.doctor import gpu_problem
    from minicnn.doctor.probe import reason, try_device

    index = int(device.partition(":")[2] or 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what CuPy warns of when it is imported, the doctor knows too
            cupy = importlib.import_module("cupy")
            try_device(cupy, index)
    except Exception as error:  # noqa: BLE001 - whatever a broken installation may raise
        raise DeviceError(f'device "{device}": {gpu_problem(index) or reason(error)}') from None
    return cupy
