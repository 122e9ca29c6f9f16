"""`cupy.RawModule`: kernels from CUDA source, compiled for the CPU and run there.

How they run is the business of `host_cuda`. Here arguments are converted as CuPy does, launches are checked
as the driver would, and after each one it is looked whether something was written outside of an array.
"""

from pathlib import Path
from typing import Any

import numpy as np

from emulated_cupy.array import check_device, ndarray
from emulated_cupy.capture import execute
from emulated_cupy.memory import MemoryPointer, check_guards
from emulated_cupy.session import CUDADriverError

_STATIC_SHARED_LIMIT = 48 << 10  # bytes; more has to be asked for
_SHARED_LIMIT = 163 << 10


class RawModule:
    """As `cupy.RawModule`, for CUDA source code."""

    def __init__(
        self,
        code: Any = None,
        *,
        path: Any = None,
        options: Any = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Any = None,
        jitify: Any = None,
    ) -> None:
        if (code is None) == (path is None):
            raise TypeError("Exactly one of `code` and `path` keyword arguments must be given.")
        if type(options) is not tuple:
            raise TypeError(
                f"Argument 'options' has incorrect type (expected tuple, got {type(options).__name__})"
            )
        if path is not None or backend not in ("nvrtc", "nvcc") or enable_cooperative_groups or jitify:
            raise NotImplementedError(
                "the stand-in knows modules from source code, compiled by NVRTC or nvcc"
            )
        if name_expressions is not None and backend != "nvrtc":
            raise ValueError(
                "only nvrtc supports retrieving the mangled names for the given name expressions"
            )
        self.code: str = code
        self.options: tuple[str, ...] = options
        self.backend = backend
        self.name_expressions = None if name_expressions is None else tuple(name_expressions)
        self._host_modules: dict[tuple[str, ...], Any] = {}

    def compile(self, log_stream: Any = None) -> None:
        if self.name_expressions:
            self._host_module(self.name_expressions)

    def get_function(self, name: str) -> "RawKernel":
        if self.name_expressions is not None and name not in self.name_expressions:
            raise CUDADriverError(500, f"{name} is not among the name expressions")
        return RawKernel._of(self, name)

    def _host_module(self, names: tuple[str, ...]) -> Any:
        from host_cuda import HostModule

        if names not in self._host_modules:
            self._host_modules[names] = HostModule(self.code, names, self._include_folder())
        return self._host_modules[names]

    def _include_folder(self) -> Path:
        folders = []
        for option, value in zip(self.options, (*self.options, "")[1:], strict=True):
            if option in ("-I", "--include-path"):
                folders.append(value)
            elif option.startswith("-I"):
                folders.append(option[2:])
            elif option.startswith("--include-path="):
                folders.append(option.partition("=")[2])
        if len(folders) > 1:
            raise NotImplementedError(f"the stand-in takes one include folder, got {folders}")
        return Path(folders[0]) if folders else Path()


class RawKernel:
    """As `cupy.RawKernel`."""

    def __init__(
        self,
        code: Any,
        name: str,
        options: Any = (),
        backend: str = "nvrtc",
        *,
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        jitify: bool = False,
    ) -> None:
        module = RawModule(
            code,
            options=options,
            backend=backend,
            enable_cooperative_groups=enable_cooperative_groups,
            jitify=jitify,
        )
        self._prepare(module, name)

    def _prepare(self, module: RawModule, name: str) -> None:
        self._module = module
        self.name = self.__name__ = name
        self.max_dynamic_shared_size_bytes = _STATIC_SHARED_LIMIT
        self.preferred_shared_memory_carveout = -1

    @classmethod
    def _of(cls, module: RawModule, name: str) -> "RawKernel":
        kernel = object.__new__(cls)
        kernel._prepare(module, name)
        return kernel

    def compile(self, log_stream: Any = None) -> None:
        self._host_module()

    def _host_module(self) -> Any:
        return self._module._host_module(self._module.name_expressions or (self.name,))

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0, stream: Any = None) -> None:
        blocks, threads = _sizes("grid", grid), _sizes("block", block)
        if int(np.prod(threads)) > 1024 or threads[2] > 64:
            raise CUDADriverError(1, f"block {threads}")
        if max(blocks[1:]) > 2**16 - 1 or blocks[0] > 2**31 - 1:
            raise CUDADriverError(1, f"grid {blocks}")
        if not 0 <= shared_mem <= min(self.max_dynamic_shared_size_bytes, _SHARED_LIMIT):
            raise CUDADriverError(
                1, f"{shared_mem} bytes of shared memory, set max_dynamic_shared_size_bytes"
            )
        host_module, name = self._host_module(), self.name
        arguments = [_argument(arg) for arg in args]

        kernel = host_module.kernels[name]
        for place, parameter in enumerate(kernel.parameters[: min(kernel.count, len(arguments))]):
            if parameter.kind == b"p" and isinstance(arguments[place], np.uintp):
                # CuPy passes bytes and asks no questions: a number may be an address.
                arguments[place] = int(arguments[place])

        def launch() -> None:
            host_module.launch(name, blocks, threads, arguments, shared_bytes=shared_mem)
            check_guards(f"kernel {name}")

        execute(launch, stream, keep=tuple(args))


RawModule.__module__ = RawKernel.__module__ = "cupy"


def _sizes(what: str, sizes: Any) -> tuple[int, int, int]:
    if type(sizes) is not tuple:
        raise TypeError(f"Argument '{what}' has incorrect type (expected tuple, got {type(sizes).__name__})")
    x, y, z = (max(1, size.__index__()) for size in (*sizes, 1, 1)[:3])
    return x, y, z


def _argument(value: Any) -> Any:
    """Convert as CuPy: arrays to addresses, Python's numbers to 64 bits (True too), NumPy's as they are."""
    if type(value) is ndarray:
        check_device(value)
        return value._array.ctypes.data
    if value is None:
        raise TypeError("None is no null pointer for CuPy, but crashes; use numpy.uintp(0)")
    if isinstance(value, MemoryPointer):
        return value.ptr
    if isinstance(value, np.ndarray):
        if value.size != 1:
            raise TypeError(
                f"You are trying to pass a numpy.ndarray of shape {value.shape} as a kernel parameter. "
                "Only numpy.ndarrays of size one can be passed by value. If you meant to pass a pointer to "
                "__global__ memory, you need to pass a cupy.ndarray instead."
            )
        return value.reshape(1)[0].copy()
    if isinstance(value, np.generic):
        return value.copy()  # a structure may be a view of an array that changes
    for python_type, numpy_type in ((int, np.int64), (float, np.float64), (complex, np.complex128)):
        if isinstance(value, python_type):
            return numpy_type(value)
    raise TypeError(f"Unsupported type {type(value)}")
