"""A strict stand-in for CuPy 14, to test the GPU path where there is no GPU.

    with emulated_cupy.installed() as cupy:
        y = minicnn.Tensor(x).to("cuda")

Within the block `import cupy` gives the stand-in: arrays are in (guarded) host memory, operations are
NumPy's, kernels are compiled for the CPU, and two devices, streams, graphs, memory pools and cuBLAS behave
as CuPy's do. What CuPy refuses is refused, and a little more: NumPy functions on its arrays, which CuPy
would take over, but which minicnn is to call by way of `array_module`. What the stand-in does not have
raises AttributeError and says so.

What it does not show: anything about speed; races between streams, for operations run in the order in which
they are issued; memory that a graph uses and that its pool gave back to the device; rounding as on a GPU.
"""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

from emulated_cupy import (
    methods,  # noqa: F401 - attaches the methods of ndarray
    session,
)
from emulated_cupy.blas import library as cublas_library
from emulated_cupy.memory import GuardError, check_guards, limit_memory
from emulated_cupy.modules import make_modules

__all__ = ["GuardError", "check_guards", "cublas_library", "installed", "limit_memory"]

_ROOTS = ("cupy", "cupy_backends", "cupyx")


@contextlib.contextmanager
def installed() -> Iterator[ModuleType]:
    """Let `import cupy` give the stand-in inside the block, as if just started; then what it gave before."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in _ROOTS}
    _remove()
    session.renew()
    modules = make_modules()
    sys.modules.update(modules)
    sys.modules["cupyx"] = None  # import raises ImportError
    try:
        yield modules["cupy"]
    finally:
        _remove()
        sys.modules.update(before)
        session.renew()


def _remove() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in _ROOTS]:
        del sys.modules[name]
