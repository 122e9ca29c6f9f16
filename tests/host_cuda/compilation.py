"""Compiling a CUDA kernel file into a shared library with the C++ compiler, once for every content."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

HEADERS = Path(__file__).parent
LIBRARIES = HEADERS / "__pycache__"  # compiled, and nobody minds its loss

FLAGS = (
    # Kernels look at the same memory as numbers and as vectors of them, which CUDA allows. The names of two
    # libraries must not get mixed up: each has its own threadIdx.
    *("-std=c++17", "-O1", "-fPIC", "-ffp-contract=off", "-fno-strict-aliasing", "-fvisibility=hidden"),
    # Some systems let longjmp refuse to go from one stack to another, which is all it does here.
    "-U_FORTIFY_SOURCE",
    *("-fsanitize=alignment,null,bounds", "-fno-sanitize-recover=all"),
    # No more warnings than these, so that a newer compiler does not stop the tests; nvcc has its own.
    *("-Werror=uninitialized", "-Werror=return-type"),
)


class CompilationError(RuntimeError):
    """What the compiler has to say about a kernel file."""


def compiler() -> str | None:
    """Find a C++17 compiler: $CXX or a usual one. None if there is none, or the system is not Linux."""
    if sys.platform != "linux":
        return None  # threads.h finds shared memory by the rules of Linux' executable files
    names = [os.environ.get("CXX", ""), "g++", "clang++", "c++"]
    return next((path for name in names if (path := shutil.which(name))), None)


def compile_library(source: str, name_expressions: Sequence[str], include_folder: Path) -> Path:
    """Compile kernels, unless that has been done before; return the path of the library."""
    cxx = compiler()
    if cxx is None:
        raise CompilationError("no C++ compiler: install g++ or clang++, or let CXX name one")
    text = with_entries(source, name_expressions)
    included = sorted([*HEADERS.glob("*.h"), *Path(include_folder).glob("*.cuh")])
    parts = [version(cxx), *FLAGS, text, *(path.read_text() for path in included)]
    content = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    library = LIBRARIES / f"{content[:24]}.so"
    if not library.exists():
        LIBRARIES.mkdir(exist_ok=True)
        unfinished = library.with_suffix(f".{os.getpid()}")
        try:
            compile_text(cxx, text, Path(include_folder), unfinished)
            unfinished.replace(library)  # at once: another process may be waiting for it
        finally:
            unfinished.unlink(missing_ok=True)
    return library


def with_entries(source: str, name_expressions: Sequence[str]) -> str:
    """Put the header before the kernels, and what Python finds them by after them."""
    entries = "".join(f"    host::kernel_entry<{name}>,\n" for name in name_expressions)
    return (
        f'#include "host_cuda.h"\n#line 1 "kernels"\n{source}\n#line 1 "name expressions"\n'
        'extern "C" __attribute__((visibility("default"))) const host::Kernel host_cuda_kernels[] = {\n'
        f"{entries}}};\n"
    )


@cache
def version(cxx: str) -> str:
    """Ask a compiler which one it is."""
    return subprocess.run([cxx, "--version"], check=True, capture_output=True, text=True).stdout


def compile_text(cxx: str, text: str, include_folder: Path, library: Path) -> None:
    """Compile and link: two steps, because in one -fsanitize would bring the compiler's library along."""
    compiled = library.with_suffix(library.suffix + ".o")
    folders = [f"-I{HEADERS}", f"-I{include_folder}"]
    try:
        call(cxx, *FLAGS, *folders, "-c", "-x", "c++", "-", "-o", str(compiled), stdin=text)
        call(cxx, "-shared", "-Wl,-z,defs", str(compiled), "-lm", "-o", str(library))
    finally:
        compiled.unlink(missing_ok=True)


def call(*command: str, stdin: str = "") -> None:
    """Run the compiler; its messages become the exception's."""
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CompilationError(result.stderr)
