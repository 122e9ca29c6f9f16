"""CUDA kernels on the CPU: the real source, compiled by the C++ compiler, run over all blocks and threads.

What a kernel may use and must obey stands in host_cuda.h; how threads take turns, in threads.h.
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from .compilation import CompilationError, compile_library, compiler

__all__ = ["CompilationError", "HostModule", "KernelError", "compiler", "thread_order"]

KINDS = {"p": "an address", "i": "an integer", "f": "a floating-point number", "s": "a struct"}
KIND_OF_DTYPE = {"b": "i", "i": "i", "u": "i", "f": "f", "V": "s"}

# What every GPU since 2018 can do without being asked for more.
MOST_BLOCKS = (2**31 - 1, 65535, 65535)
MOST_THREADS = (1024, 1024, 64)
MOST_THREADS_OF_BLOCK = 1024
MOST_SHARED_BYTES = 48 * 1024

reversed_order = False


class KernelError(RuntimeError):
    """What a kernel did wrong while it ran."""


@contextmanager
def thread_order(order: Literal["forward", "reverse"]) -> Iterator[None]:
    """Run blocks and threads from first to last or from last to first inside the block.

    Between two barriers a thread runs without a break. If a barrier is missing, one thread writes what
    another should have read before, or reads what another has not written yet: mostly, one order shows it.
    """
    global reversed_order
    before = reversed_order
    reversed_order = {"forward": False, "reverse": True}[order]
    try:
        yield
    finally:
        reversed_order = before


class Parameter(ctypes.Structure):
    """Of a kernel, as host_cuda.h has it."""

    _fields_ = (("kind", ctypes.c_char), ("size", ctypes.c_int))


class Kernel(ctypes.Structure):
    """A kernel, as host_cuda.h has it."""

    _fields_ = (
        ("count", ctypes.c_int),
        ("parameters", ctypes.POINTER(Parameter)),
        ("run_thread", ctypes.c_void_p),
    )


class HostModule:
    """CUDA source, compiled for the CPU.

    Parameters
    ----------
    source : str
        Text of a kernel file.
    name_expressions : sequence of str
        The kernels wanted from it, as NVRTC names them: "fill", "max_pool_forward<float, 4>".
    include_folder : Path
        Where the headers (*.cuh) lie that the source includes.

    Raises
    ------
    CompilationError
        With the compiler's messages.
    """

    def __init__(self, source: str, name_expressions: Sequence[str], include_folder: Path) -> None:
        path = compile_library(source, name_expressions, include_folder)
        # PyDLL keeps Python's lock, so that two launches never run at once: they would share threadIdx.
        self.library = ctypes.PyDLL(str(path))
        self.library.host_cuda_launch.restype = ctypes.c_char_p
        kernels = (Kernel * len(name_expressions)).in_dll(self.library, "host_cuda_kernels")
        self.kernels = dict(zip(name_expressions, kernels, strict=True))

    def launch(
        self,
        name_expression: str,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        arguments: Sequence[np.generic | int],
        shared_bytes: int = 0,
    ) -> None:
        """Run a kernel over all blocks and threads.

        Parameters
        ----------
        name_expression : str
            One of those that the module was made with.
        grid, block : tuples of one to three ints
            Number of blocks, and of threads in each: (x, y, z).
        arguments : sequence of NumPy scalars and ints
            A scalar is passed as it is, a struct as `np.void`; an int is an address.
        shared_bytes : int, default=0
            Size of the dynamic shared memory.

        Raises
        ------
        TypeError
            If the arguments are not those of the kernel.
        ValueError
            If a GPU would refuse a launch of this size.
        KernelError
            If the kernel did something wrong.
        """
        kernel = self.kernels[name_expression]
        check_launch(name_expression, grid, block, shared_bytes)
        values = argument_bytes(name_expression, kernel.parameters[: kernel.count], arguments)
        failure = self.library.host_cuda_launch(
            ctypes.byref(kernel),
            (ctypes.c_uint * 3)(*three(grid)),
            (ctypes.c_uint * 3)(*three(block)),
            ctypes.c_uint(shared_bytes),
            int(reversed_order),
            (ctypes.c_char_p * len(values))(*values),
        )
        if failure is not None:
            raise KernelError(f"{name_expression}: {failure.decode()}")


def three(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Write (x,) or (x, y) as (x, y, z)."""
    return (*sizes, *(1,) * (3 - len(sizes)))


def check_launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], shared_bytes: int) -> None:
    """Refuse what a GPU refuses."""
    for what, sizes, most in (("grid", grid, MOST_BLOCKS), ("block", block, MOST_THREADS)):
        if not 1 <= len(sizes) <= 3:
            raise ValueError(f"{name}: {what}: expected one to three sizes, got {sizes}")
        if any(not 1 <= size <= limit for size, limit in zip(three(sizes), most, strict=True)):
            raise ValueError(f"{name}: {what}: expected sizes from 1 up to {most}, got {sizes}")
    if np.prod(block) > MOST_THREADS_OF_BLOCK:
        raise ValueError(f"{name}: block: expected at most {MOST_THREADS_OF_BLOCK} threads, got {block}")
    if not 0 <= shared_bytes <= MOST_SHARED_BYTES:
        raise ValueError(f"{name}: shared_bytes: expected 0 to {MOST_SHARED_BYTES}, got {shared_bytes}")


def argument_bytes(
    name: str, parameters: Sequence[Parameter], arguments: Sequence[np.generic | int]
) -> list[bytes]:
    """Check arguments against the parameters of a kernel; return what is copied to where it finds them."""
    if len(arguments) != len(parameters):
        raise TypeError(f"{name}: expected {len(parameters)} arguments, got {len(arguments)}")
    values = []
    for number, (parameter, argument) in enumerate(zip(parameters, arguments, strict=True)):
        if isinstance(argument, np.generic):
            kind, value = KIND_OF_DTYPE.get(argument.dtype.kind), argument.tobytes()
        elif type(argument) is int:
            kind, value = "p", bytes(ctypes.c_void_p(argument))
        else:
            raise TypeError(
                f"{name}: argument {number}: expected a NumPy scalar or an address, got {argument!r}"
            )
        expected = parameter.kind.decode()
        if (kind, len(value)) != (expected, parameter.size):
            raise TypeError(
                f"{name}: argument {number}: expected {KINDS[expected]} of {parameter.size} bytes, "
                f"got {argument!r} of {len(value)}"
            )
        values.append(value)
    return values
