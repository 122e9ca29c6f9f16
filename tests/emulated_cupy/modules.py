"""The modules that `import cupy` and its kin give, put together from the other files."""

import functools
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from emulated_cupy import blas, capture, devices, kernels, memory, session
from emulated_cupy.array import ndarray
from emulated_cupy.functions import FUNCTIONS, as_strided
from emulated_cupy.products import PRODUCTS
from emulated_cupy.ufuncs import UFUNCS, ufunc

# What CuPy has from NumPy.
_FROM_NUMPY = [
    "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128", "intp", "dtype", "generic", "number", "integer",
    "floating", "inf", "nan", "pi", "e", "newaxis", "finfo", "iinfo", "issubdtype", "can_cast",
    "promote_types", "broadcast_shapes",
]  # fmt: skip


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    def refuse(attribute: str) -> NoReturn:
        raise AttributeError(f"{name}.{attribute} is not part of the stand-in for CuPy")

    module = ModuleType(name, "Stand-in, see tests/emulated_cupy.")
    vars(module).update(contents)
    vars(module)["__getattr__"] = refuse
    return module


def _named(*things: Any) -> dict[str, Any]:
    return {thing.__name__: thing for thing in things}


@functools.cache
def make_modules() -> dict[str, ModuleType]:
    """Return the modules by name; packages hold those below them.

    They are made once: whoever keeps something for each CuPy, compiled kernels for one, finds it again.
    """
    modules = {
        "cupy": _module(
            "cupy",
            {name: getattr(np, name) for name in _FROM_NUMPY}
            | UFUNCS
            | FUNCTIONS
            | PRODUCTS
            | {"ndarray": ndarray, "ufunc": ufunc, "__version__": "14.2.0"}
            | _named(kernels.RawModule, kernels.RawKernel, memory.get_default_memory_pool),
        ),
        "cupy.lib": _module("cupy.lib", {}),
        "cupy.lib.stride_tricks": _module("cupy.lib.stride_tricks", {"as_strided": as_strided}),
        "cupy.cuda": _module(
            "cupy.cuda",
            _named(
                devices.Device,
                devices.is_available,
                devices.get_cublas_handle,
                devices.get_device_id,
                devices.get_local_runtime_version,
                memory.MemoryPool,
                memory.MemoryPointer,
                memory.alloc,
                memory.get_allocator,
                memory.set_allocator,
                memory.using_allocator,
                capture.Stream,
                capture.Event,
                capture.Graph,
                capture.get_current_stream,
                capture.get_elapsed_time,
            ),
        ),
        "cupy.cuda.runtime": _module("cupy.cuda.runtime", devices.RUNTIME),
        "cupy.cuda.memory": _module(
            "cupy.cuda.memory",
            _named(
                memory.OutOfMemoryError,
                memory.MemoryPool,
                memory.MemoryPointer,
                memory.alloc,
                memory.get_allocator,
                memory.set_allocator,
            ),
        ),
        "cupy.cuda.device": _module(
            "cupy.cuda.device",
            _named(
                devices.Device,
                devices.get_cublas_handle,
                devices.get_compute_capability,
                devices.get_device_id,
            ),
        ),
        "cupy.cuda.stream": _module(
            "cupy.cuda.stream",
            _named(capture.Stream, capture.Event, capture.get_current_stream, capture.get_elapsed_time),
        ),
        "cupy.cuda.graph": _module("cupy.cuda.graph", _named(capture.Graph)),
        "cupy_backends": _module("cupy_backends", {}),
        "cupy_backends.cuda": _module("cupy_backends.cuda", {}),
        "cupy_backends.cuda.api": _module("cupy_backends.cuda.api", {}),
        "cupy_backends.cuda.api.runtime": _module("cupy_backends.cuda.api.runtime", devices.RUNTIME),
        "cupy_backends.cuda.api.driver": _module(
            "cupy_backends.cuda.api.driver", _named(session.CUDADriverError)
        ),
        "cupy_backends.cuda.libs": _module("cupy_backends.cuda.libs", {}),
        "cupy_backends.cuda.libs.cublas": _module("cupy_backends.cuda.libs.cublas", blas.CUBLAS),
    }
    for name, module in modules.items():
        package, _, last = name.rpartition(".")
        if package:
            setattr(modules[package], last, module)
            vars(modules[package])["__path__"] = []
    modules["cupy.cuda"].driver = modules["cupy_backends.cuda.api.driver"]
    return modules
