"""Try the GPU: the driver, CuPy, its compiler, its matrix products. Runs in a process of its own.

A broken installation may print, warn, hang or crash when it is touched. So `facts` starts this file as a
program (it needs nothing but the standard library and, if there is one, CuPy) and reads what it found out:
a line for each step, so that what was said before a hang or a crash is not lost.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

TAG = "minicnn-doctor "  # a line that begins so is ours; anything may print others
OLDEST_CUPY = 14
OLDEST_CAPABILITY = (7, 5)
DRIVER_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # numbers of device attributes in cuda.h
# float16 is what CuPy's own kernels include CUDA's headers for.
KERNEL = '#include <cuda_fp16.h>\nextern "C" __global__ void set_to_one(float *x) { x[threadIdx.x] = 1; }'


def try_device(cupy: ModuleType, index: int) -> None:
    """Compile a kernel, run it on a GPU, and multiply two matrices there; raises whatever goes wrong.

    Parameters
    ----------
    cupy : module
        The CuPy to try.
    index : int
        Number of the GPU.
    """
    if _major(cupy.__version__) < OLDEST_CUPY:
        raise RuntimeError(f"CuPy {cupy.__version__} is older than {OLDEST_CUPY}")
    with cupy.cuda.Device(index) as device:
        if int(device.compute_capability) < 10 * OLDEST_CAPABILITY[0] + OLDEST_CAPABILITY[1]:
            raise RuntimeError(f"the GPU's compute capability is {device.compute_capability}")
        ones = cupy.zeros(4, dtype=cupy.float32)
        cupy.RawKernel(KERNEL, "set_to_one")((1,), (4,), (ones,))
        x = cupy.arange(4, dtype=cupy.float32).reshape(2, 2)
        if ones.get().tolist() != [1, 1, 1, 1] or (x @ x).get().tolist() != [[2, 3], [6, 11]]:
            raise RuntimeError("the GPU computes wrong results")


def find_driver() -> dict[str, Any]:
    """Ask the driver itself, without CuPy: does it start, which CUDA does it support, which GPUs."""
    library = _load_driver()
    if library is None:
        return {"found": False}
    found: dict[str, Any] = {"found": True, "status": library.cuInit(0), "devices": []}
    number = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(number)) == 0:
        found["cuda"] = [number.value // 1000, number.value % 1000 // 10]
    if found["status"] != 0 or library.cuDeviceGetCount(ctypes.byref(number)) != 0:
        return found
    for index in range(number.value):
        found["devices"].append(_describe_device(library, index))
    return found


def _load_driver() -> Any:
    for name in DRIVER_LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _describe_device(library: Any, index: int) -> dict[str, Any]:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    library.cuDeviceGet(ctypes.byref(device), index)
    library.cuDeviceGetName(name, len(name), device)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    library.cuDeviceGetAttribute(ctypes.byref(major), CAPABILITY_MAJOR, device)
    library.cuDeviceGetAttribute(ctypes.byref(minor), CAPABILITY_MINOR, device)
    return {
        "name": name.value.decode(errors="replace"),
        "memory": memory.value,
        "capability": [major.value, minor.value],
    }


def find_cupy() -> dict[str, Any]:
    """Import CuPy."""
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        return {"missing": error.name == "cupy", "import_error": reason(error)}
    build = cupy.cuda.runtime.runtimeGetVersion()
    return {"version": cupy.__version__, "cuda": [build // 1000, build % 1000 // 10]}


def find_nvrtc() -> dict[str, Any]:
    """Load the compiler that CuPy makes kernels with."""
    nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
    return {"nvrtc": list(nvrtc.getVersion())}


def find_headers() -> dict[str, Any]:
    """Compile a kernel that includes what CuPy's own kernels include. No GPU is needed for that."""
    nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
    core = importlib.import_module("cupy._core.core")
    program = nvrtc.createProgram(KERNEL, "doctor.cu", (), ())
    options = (*core.assemble_cupy_compiler_options(()), "-arch=sm_75")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        raise RuntimeError(nvrtc.getProgramLog(program)) from None
    return {}


def find_cublas() -> dict[str, Any]:
    """Load the library that multiplies matrices."""
    importlib.import_module("cupy_backends.cuda.libs.cublas")
    return {}


def find_trial(index: int) -> dict[str, Any]:
    """Use the GPU."""
    cupy = importlib.import_module("cupy")
    found: dict[str, Any] = {"trial": index}
    try_device(cupy, index)
    with cupy.cuda.Device(index):
        found["free"] = cupy.cuda.runtime.memGetInfo()[0]
    return found


def reason(error: BaseException) -> str:
    r"""Give the one line of an exception's text that says what happened.

    CuPy frames its import errors and gives the cause last.

    Examples
    --------
    >>> reason(ImportError("====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: no x.so\n==="))
    'ImportError: no x.so'
    >>> reason(ValueError())
    'ValueError'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =-")]
    if "Original error:" in lines[:-1]:
        return lines[lines.index("Original error:") + 1]
    return lines[0] if lines else type(error).__name__


def _major(version: str) -> int:
    return int(version.split(".")[0])


def main(index: int) -> None:
    """Take all steps, as far as they make sense, and print what each found."""
    driver = _step("asking the driver", "driver", find_driver)
    cupy = _step("importing CuPy", "import", find_cupy)
    if "version" not in cupy:
        return
    _step("loading NVRTC", "nvrtc", find_nvrtc)
    _step("compiling a kernel", "headers", find_headers)
    _step("loading cuBLAS", "cublas", find_cublas)
    if index < len(driver.get("devices", ())):
        _step(f"computing on GPU {index}", "trial", lambda: find_trial(index))


def _step(doing: str, name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    _say({"doing": doing})
    try:
        found = find()
    except Exception as error:  # noqa: BLE001 - what is wrong with a broken library, nobody can list
        found = {f"{name}_error": reason(error)}
    _say({"step": name, "found": found})
    return found


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{TAG}{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
