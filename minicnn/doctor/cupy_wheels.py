"""Findings about CuPy: which wheel is there, which would fit the driver, and the libraries it needs."""

from __future__ import annotations

from collections.abc import Iterator

from minicnn.doctor.driver import DRIVER_RELEASES, OLDEST_CUDA
from minicnn.doctor.facts import Gpu, Machine
from minicnn.doctor.finding import Finding, dotted, listed
from minicnn.doctor.probe import OLDEST_CUPY


def cupy_problems(gpu: Gpu, machine: Machine) -> Iterator[Finding]:
    """Find what is wrong with CuPy as installed: the first obstacle, or all the libraries it lacks."""
    fitting = fitting_cuda(gpu)
    names = tuple(wheel.name for wheel in gpu.wheels)
    newer_only = [wheel for wheel in gpu.wheels if (wheel.cuda_major or 0) > fitting]
    if not gpu.wheels and gpu.cupy is None and (gpu.import_error is None or gpu.cupy_missing):
        yield Finding("no-cupy", "CuPy is not installed", "install it", (_install(machine, fitting),))
        return
    if len(names) > 1:
        yield several_wheels(names, machine, fitting)
        return
    if newer_only and gpu.driver_cuda is not None:
        yield _wheel_too_new(newer_only[0].name, gpu, machine)
        return
    if names and names[0] != "cupy" and gpu.wheels[0].cuda_major not in (12, 13):
        yield _exchange(
            "other-wheel", f"{names[0]} is not made for CUDA {OLDEST_CUDA} or later", names, machine, fitting
        )
        return
    if gpu.import_error is not None:
        yield _import_fails(gpu, machine, fitting)
        return
    if gpu.cupy is not None and int(gpu.cupy.split(".")[0]) < OLDEST_CUPY:
        found = f"CuPy {gpu.cupy} is too old: minicnn needs {OLDEST_CUPY} or later"
        yield Finding("old-cupy", found, "update it", reinstall(gpu, machine))
        return
    yield from _libraries(gpu, machine)


def several_wheels(names: tuple[str, ...], machine: Machine, fitting: int) -> Finding:
    """Say that more than one of CuPy's wheels is installed."""
    found = f"{listed(names)} are installed at once and overwrite each other's files"
    return _exchange("several-wheels", found, names, machine, fitting)


def _exchange(name: str, found: str, names: tuple[str, ...], machine: Machine, fitting: int) -> Finding:
    commands = (f"{machine.pip} uninstall {' '.join(names)}", _install(machine, fitting))
    what = "all of them" if len(names) > 1 else "it"
    return Finding(name, found, f"uninstall {what}, then install the one that fits", commands)


def _wheel_too_new(wheel: str, gpu: Gpu, machine: Machine) -> Finding:
    assert gpu.driver_cuda is not None
    newer = fitting_cuda(gpu) + 1
    advice = f"exchange it (or install driver {DRIVER_RELEASES.get(newer, 'of today')} or later)"
    found = f"{wheel} needs a newer driver: the one here supports CUDA {dotted(gpu.driver_cuda)} at most"
    commands = (f"{machine.pip} uninstall {wheel}", _install(machine, fitting_cuda(gpu)))
    return Finding("wheel-too-new", found, advice, commands)


def _import_fails(gpu: Gpu, machine: Machine, fitting: int) -> Finding:
    if gpu.cupy_missing:
        # What is left of two wheels when one of them is uninstalled.
        wheel = gpu.wheels[0].name
        return Finding(
            "damaged-cupy",
            f"{wheel} is registered as installed, but its files are missing",
            "put them back",
            (f"{machine.pip} install --force-reinstall --no-deps {wheel}",),
        )
    wheel = gpu.wheels[0].name if gpu.wheels else f"cupy-cuda{fitting}x"
    return Finding(
        "import-error",
        f"CuPy cannot be imported ({gpu.import_error})",
        "install it again",
        (f'{machine.pip} install --force-reinstall "{wheel}{_extra(wheel)}"',),
    )


def _libraries(gpu: Gpu, machine: Machine) -> Iterator[Finding]:
    """CuPy's wheels bring no CUDA libraries: they come with the extra [ctk], or with a CUDA toolkit."""
    without_compiler = gpu.nvrtc_error is not None
    without_headers = not without_compiler and gpu.headers_error is not None
    install = reinstall(gpu, machine)
    if without_headers and not _says_headers_are_missing(gpu.headers_error):
        yield Finding(
            "compiler-fails",
            f"NVRTC {dotted(gpu.nvrtc)} cannot compile a small kernel ({gpu.headers_error})",
            "it may not fit CUDA's headers: install both anew",
            install,
        )
        without_headers = False
    missing = {
        "NVRTC (compiles kernels)": without_compiler,
        "CUDA's headers": without_headers,
        "cuBLAS (multiplies matrices)": gpu.cublas_error is not None,
    }
    if any(missing.values()):
        names = ", ".join(name for name, is_missing in missing.items() if is_missing)
        found = f"CuPy needs libraries that do not come with it, and some are missing: {names}"
        yield Finding("missing-libraries", found, "install them", install)


def _says_headers_are_missing(error: str | None) -> bool:
    return error is not None and ("could not open source file" in error or "find CUDA headers" in error)


def failed_trial(gpu: Gpu, machine: Machine, index: int) -> Finding:
    """Explain why computing on a GPU that was found has failed."""
    error = gpu.trial_error or ""
    if "MemoryAllocation" in error or "out of memory" in error.lower():
        return Finding(
            "device-full",
            f"GPU {index} has no memory left",
            "other programs use it all; see which",
            ("nvidia-smi",),
        )
    if "DevicesUnavailable" in error:
        return Finding(
            "device-taken",
            f"GPU {index} is used by another program and set to serve one only",
            "see which",
            ("nvidia-smi",),
        )
    if gpu.nvrtc and gpu.driver_cuda and gpu.nvrtc[0] > gpu.driver_cuda[0]:
        return Finding(
            "compiler-too-new",
            f"NVRTC {dotted(gpu.nvrtc)} makes kernels that the driver, for CUDA up to "
            f"{dotted(gpu.driver_cuda)}, cannot run",
            "install the one that fits CuPy",
            reinstall(gpu, machine),
        )
    return Finding("trial-fails", f"GPU {index} was found, but computing on it fails ({error})")


def reinstall(gpu: Gpu, machine: Machine) -> tuple[str, ...]:
    """Install the wheel that is there once more, with CUDA's libraries; a CuPy built here is exchanged."""
    major = gpu.wheels[0].cuda_major if gpu.wheels else None
    if major is None:
        install = _install(machine, gpu.cupy_cuda[0] if gpu.cupy_cuda else fitting_cuda(gpu))
        return (*(f"{machine.pip} uninstall {wheel.name}" for wheel in gpu.wheels), install)
    return (_install(machine, major, "--upgrade "),)


def _install(machine: Machine, cuda_major: int, options: str = "") -> str:
    return f'{machine.pip} install {options}"cupy-cuda{cuda_major}x[ctk]>={OLDEST_CUPY}"'


def _extra(wheel: str) -> str:
    return f"[ctk]>={OLDEST_CUPY}" if wheel.startswith("cupy-cuda") else ""


def fitting_cuda(gpu: Gpu) -> int:
    """Which of CuPy's wheels fits the driver; the newest one if nothing is known of the driver.

    Examples
    --------
    >>> [fitting_cuda(Gpu(driver_cuda=cuda)) for cuda in ((12, 4), (13, 2), (14, 0), None)]
    [12, 13, 13, 13]
    """
    newest = max(DRIVER_RELEASES)
    return newest if gpu.driver_cuda is None else min(max(gpu.driver_cuda[0], OLDEST_CUDA), newest)
