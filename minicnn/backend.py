"""Which array library an array belongs to, and where it lives.

The ops never ask "are we on the GPU?". They take the array module from the arrays they are given:

    xp = array_module(x)      # numpy or cupy
    y = xp.maximum(x, 0)

so the same line runs on both. CuPy is imported only when somebody asks for a CUDA device.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np

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
    kind, _, index = device.partition(":")
    if kind == "cpu" and not index:
        return to_numpy(array)
    if kind != "cuda" or not (index == "" or index.isdigit()):
        raise DeviceError(f'device: expected "cpu", "cuda" or "cuda:<number>", got "{device}"')
    cupy = _import_cupy(device)
    with cupy.cuda.Device(int(index or 0)):
        return cupy.asarray(array)


def _import_cupy(device: str) -> ModuleType:
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise DeviceError(
            f'device "{device}" needs CuPy, which cannot be imported here ({error}); '
            "install it with: pip install 'minicnn[cuda12]' or 'minicnn[cuda13]'"
        ) from None
    if not cupy.cuda.is_available():
        raise DeviceError(f'device "{device}" was asked for, but CuPy finds no usable GPU on this machine')
    return cupy
