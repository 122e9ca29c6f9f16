"""From facts to findings: what is wrong, what that means, and what to type. A pure function of the facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minicnn.doctor.facts import Facts, Gpu, Machine
from minicnn.doctor.probe import OLDEST_CAPABILITY, OLDEST_CUPY

GIBIBYTE = 1 << 30
OLDEST_CUDA = 12  # the oldest that there is a CuPy 14 for
# What a driver has to be at least, for any CUDA of that major version (NVIDIA's compatibility tables).
DRIVER_RELEASES = {12: "525.60", 13: "580.65"}
SLOW_BLAS = ("", "blas", "cblas", "refblas", "netlib", "none", "unknown", "internal")
LITTLE_MEMORY = GIBIBYTE
DOWNLOAD = "https://www.nvidia.com/drivers"


@dataclass(frozen=True)
class Finding:
    """Something the user should know.

    Attributes
    ----------
    name : str
        What kind of finding it is, in two or three words.
    found : str
        What is the case, and what it means.
    advice : str
        What to do about it; empty if there is nothing to do.
    commands : tuple of str
        What to type, line by line; may be empty.
    blocks : bool
        Whether the GPU cannot be used because of it.
    """

    name: str
    found: str
    advice: str = ""
    commands: tuple[str, ...] = ()
    blocks: bool = True

    def one_line(self) -> str:
        """Join everything.

        Examples
        --------
        >>> Finding("no-cupy", "CuPy is not installed", "install it", ("pip install cupy",)).one_line()
        'CuPy is not installed; install it: pip install cupy'
        """
        text = "; ".join(filter(None, (self.found, self.advice)))
        return f"{text}: {' && '.join(self.commands)}" if self.commands else text


def diagnose(facts: Facts, index: int = 0) -> list[Finding]:
    """Find everything that keeps a GPU from being used or deserves a word, most fundamental first.

    Parameters
    ----------
    facts : Facts
        What is known about the machine.
    index : int, default=0
        Number of the GPU in question.

    Returns
    -------
    list of Finding
        Those about the GPU first; none of them `blocks` if the GPU has been used with success.

    Examples
    --------
    >>> facts = Facts(Machine(), Gpu(pci_gpus=0))
    >>> diagnose(facts)[0].found
    'this machine has no NVIDIA GPU'
    """
    if facts.gpu.trial == index:
        about_gpu = list(_in_spite_of_success(facts))
    else:
        about_gpu = list(_obstacles(facts, index)) or [_unexplained(index)]
    return [*about_gpu, *_about_machine(facts.machine)]


# ---- why the GPU cannot be used ------------------------------------------------------------------------


def _obstacles(facts: Facts, index: int) -> Iterator[Finding]:
    """Go from the hardware up to CuPy. Where the hardware cannot do it, what stands on it does not matter."""
    gpu, machine = facts.gpu, facts.machine
    if (without_hardware := _hardware(gpu, machine)) is not None:
        yield without_hardware
        return
    if gpu.driver_found is None:
        yield _probe_failed(gpu, machine)
        return
    if (driver := _driver(gpu, machine)) is not None:
        yield driver
        if not gpu.driver_found or _hides_devices(gpu):
            return
    if gpu.devices and index >= len(gpu.devices):
        yield _no_such_device(gpu, index)
        return
    if index < len(gpu.devices) and gpu.devices[index].capability < OLDEST_CAPABILITY:
        yield _old_device(gpu, index)
        return
    yield from _cupy(gpu, machine)
    if gpu.probe_error:
        yield _probe_failed(gpu, machine)
    elif gpu.trial_error:
        yield _failed_trial(gpu, machine, index)


def _hardware(gpu: Gpu, machine: Machine) -> Finding | None:
    if machine.system == "Darwin":
        return Finding("no-cuda", "CUDA does not exist for macOS")
    if gpu.pci_gpus == 0 and not gpu.devices and not gpu.smi_gpus:
        return Finding("no-gpu", "this machine has no NVIDIA GPU")
    return None


def _driver(gpu: Gpu, machine: Machine) -> Finding | None:
    if not gpu.driver_found:
        return _no_driver(gpu, machine)
    if _hides_devices(gpu):
        value = gpu.visible_devices
        return Finding(
            "hidden-devices",
            f'CUDA_VISIBLE_DEVICES is "{value}", which hides every GPU',
            "set it to the numbers of the GPUs to use, or remove it",
            ("set CUDA_VISIBLE_DEVICES=",)
            if machine.system == "Windows"
            else ("unset CUDA_VISIBLE_DEVICES",),
        )
    if gpu.driver_status not in (0, None):
        return _driver_fails(gpu.driver_status, machine)
    if gpu.driver_cuda is not None and gpu.driver_cuda[0] < OLDEST_CUDA:
        return Finding(
            "old-driver",
            f"NVIDIA's driver is too old: it supports CUDA {_dotted(gpu.driver_cuda)}, "
            f"and CuPy {OLDEST_CUPY} needs {OLDEST_CUDA}.0 or later",
            *_update_driver(OLDEST_CUDA, machine),
        )
    if not gpu.devices and gpu.driver_status == 0:
        return _no_device(machine)
    return None


def _hides_devices(gpu: Gpu) -> bool:
    without_devices = gpu.driver_status == 100 or (gpu.driver_status == 0 and not gpu.devices)
    return without_devices and gpu.visible_devices is not None


def _no_driver(gpu: Gpu, machine: Machine) -> Finding:
    found = "NVIDIA's driver is not installed"
    if machine.in_container:
        return Finding(
            "no-driver",
            "this container was given no NVIDIA driver",
            "start it with the GPUs of its host, where the NVIDIA Container Toolkit must be installed",
            ("docker run --gpus all ...",),
        )
    if machine.in_wsl:
        return Finding(
            "no-driver",
            found,
            f"install it in Windows, not in Linux ({DOWNLOAD}), then restart Linux by typing in Windows",
            ("wsl --shutdown",),
        )
    if gpu.pci_gpus:
        found = f"there is an NVIDIA GPU, but {found}"
    else:
        found += ", or there is no NVIDIA GPU"
    if machine.distribution == "ubuntu":
        return Finding(
            "no-driver", found, "install it and restart", ("sudo ubuntu-drivers install", "sudo reboot")
        )
    return Finding("no-driver", found, f"if there is a GPU, install the driver ({DOWNLOAD}) and restart")


def _driver_fails(status: int | None, machine: Machine) -> Finding:
    """Explain what cuInit returned; the numbers are those of cuda.h."""
    if status == 100:
        return _no_device(machine)
    if status == 34:
        return Finding(
            "driver-stub",
            "a stub of libcuda.so, meant for building only, was loaded in place of NVIDIA's driver",
            'take folders called "stubs" out of LD_LIBRARY_PATH, which you see with',
            ("echo $LD_LIBRARY_PATH",),
        )
    if status == 804:
        return Finding(
            "driver-compatibility",
            "a libcuda.so for other GPUs was loaded in place of the driver's own (cuInit: error 804)",
            'take folders called "compat" out of LD_LIBRARY_PATH, which you see with',
            ("echo $LD_LIBRARY_PATH",),
        )
    if status == 802:
        return Finding(
            "driver-not-ready",
            "the GPUs are not ready yet (cuInit: error 802); if they are connected by NVSwitch, "
            "NVIDIA's fabric manager does not run",
            "start it",
            ("sudo systemctl start nvidia-fabricmanager",),
        )
    if status in (803, 35):
        return Finding(
            "driver-mismatch",
            f"the parts of NVIDIA's driver have different versions (cuInit: error {status}), "
            "as after an update without a restart",
            *_restart(machine),
        )
    return Finding(
        "driver-fails",
        f"NVIDIA's driver does not start (cuInit: error {status}), as it happens after the machine has slept",
        *_restart(machine),
    )


def _no_device(machine: Machine) -> Finding:
    if machine.in_container:
        return Finding(
            "no-device",
            "the driver is there, but this container was given no GPU",
            "start it with the GPUs of its host",
            ("docker run --gpus all ...",),
        )
    return Finding(
        "no-device",
        "NVIDIA's driver is installed, but finds no GPU that it can use",
        "it may say more itself",
        ("nvidia-smi",),
    )


def _restart(machine: Machine) -> tuple[str, tuple[str, ...]]:
    if machine.in_container or machine.system == "Windows":
        return "restart " + ("the host of this container" if machine.in_container else "the machine"), ()
    if machine.in_wsl:
        return "restart Linux by typing in Windows", ("wsl --shutdown",)
    return "restart", ("sudo reboot",)


def _update_driver(cuda_major: int, machine: Machine) -> tuple[str, tuple[str, ...]]:
    release = DRIVER_RELEASES[cuda_major]
    if machine.distribution == "ubuntu" and not machine.in_container and not machine.in_wsl:
        return f"install {release} or later and restart", ("sudo ubuntu-drivers install", "sudo reboot")
    where = " on the host of this container" if machine.in_container else ""
    where = " in Windows" if machine.in_wsl else where
    return f"install {release} or later{where} ({DOWNLOAD}) and restart", ()


def _no_such_device(gpu: Gpu, index: int) -> Finding:
    names = ", ".join(f"cuda:{number} ({device.name})" for number, device in enumerate(gpu.devices))
    hidden = f'; CUDA_VISIBLE_DEVICES is "{gpu.visible_devices}"' if gpu.visible_devices else ""
    there = "the only GPU is" if len(gpu.devices) == 1 else "the GPUs are"
    return Finding("no-such-device", f"there is no GPU {index}{hidden}", f"{there} {names}")


def _old_device(gpu: Gpu, index: int) -> Finding:
    device = gpu.devices[index]
    newest = max(gpu.devices, key=lambda other: other.capability)
    advice = ""
    if newest.capability >= OLDEST_CAPABILITY:
        advice = f"use cuda:{gpu.devices.index(newest)} ({newest.name})"
    return Finding(
        "old-device",
        f"{device.name} has compute capability {_dotted(device.capability)}, and minicnn needs "
        f"{_dotted(OLDEST_CAPABILITY)} or later (GPUs from 2018 on)",
        advice,
    )


def _cupy(gpu: Gpu, machine: Machine) -> Iterator[Finding]:
    fitting = _fitting_cuda(gpu)
    names = tuple(wheel.name for wheel in gpu.wheels)
    newer_only = [wheel for wheel in gpu.wheels if (wheel.cuda_major or 0) > fitting]
    if not gpu.wheels and gpu.cupy is None and (gpu.import_error is None or gpu.cupy_missing):
        yield Finding("no-cupy", "CuPy is not installed", "install it", (_install(machine, fitting),))
        return
    if len(names) > 1:
        yield _several_wheels(names, machine, fitting)
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
        yield Finding("old-cupy", found, "update it", _reinstall(gpu, machine))
        return
    yield from _libraries(gpu, machine)


def _several_wheels(names: tuple[str, ...], machine: Machine, fitting: int) -> Finding:
    found = f"{_listed(names)} are installed at once and overwrite each other's files"
    return _exchange("several-wheels", found, names, machine, fitting)


def _exchange(name: str, found: str, names: tuple[str, ...], machine: Machine, fitting: int) -> Finding:
    commands = (f"{machine.pip} uninstall {' '.join(names)}", _install(machine, fitting))
    what = "all of them" if len(names) > 1 else "it"
    return Finding(name, found, f"uninstall {what}, then install the one that fits", commands)


def _wheel_too_new(wheel: str, gpu: Gpu, machine: Machine) -> Finding:
    assert gpu.driver_cuda is not None
    newer = _fitting_cuda(gpu) + 1
    advice = f"exchange it (or install driver {DRIVER_RELEASES.get(newer, 'of today')} or later)"
    found = f"{wheel} needs a newer driver: the one here supports CUDA {_dotted(gpu.driver_cuda)} at most"
    commands = (f"{machine.pip} uninstall {wheel}", _install(machine, _fitting_cuda(gpu)))
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
    install = _reinstall(gpu, machine)
    if without_headers and not _says_headers_are_missing(gpu.headers_error):
        yield Finding(
            "compiler-fails",
            f"NVRTC {_dotted(gpu.nvrtc)} cannot compile a small kernel ({gpu.headers_error})",
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


def _reinstall(gpu: Gpu, machine: Machine) -> tuple[str, ...]:
    """Install the wheel that is there once more, with CUDA's libraries; a CuPy built here is exchanged."""
    major = gpu.wheels[0].cuda_major if gpu.wheels else None
    if major is None:
        install = _install(machine, gpu.cupy_cuda[0] if gpu.cupy_cuda else _fitting_cuda(gpu))
        return (*(f"{machine.pip} uninstall {wheel.name}" for wheel in gpu.wheels), install)
    return (_install(machine, major, "--upgrade "),)


def _says_headers_are_missing(error: str | None) -> bool:
    return error is not None and ("could not open source file" in error or "find CUDA headers" in error)


def _probe_failed(gpu: Gpu, machine: Machine) -> Finding:
    advice, commands = _restart(machine)
    return Finding(
        "no-answer", f"the GPU could not be tried: {gpu.probe_error}", f"if that stays, {advice}", commands
    )


def _failed_trial(gpu: Gpu, machine: Machine, index: int) -> Finding:
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
            f"NVRTC {_dotted(gpu.nvrtc)} makes kernels that the driver, for CUDA up to "
            f"{_dotted(gpu.driver_cuda)}, cannot run",
            "install the one that fits CuPy",
            _reinstall(gpu, machine),
        )
    return Finding("trial-fails", f"GPU {index} was found, but computing on it fails ({error})")


def _unexplained(index: int) -> Finding:
    return Finding("not-tried", f"GPU {index} has not been tried")


# ---- what deserves a word all the same -----------------------------------------------------------------


def _in_spite_of_success(facts: Facts) -> Iterator[Finding]:
    gpu, machine = facts.gpu, facts.machine
    names = tuple(wheel.name for wheel in gpu.wheels)
    if len(names) > 1:
        several = _several_wheels(names, machine, _fitting_cuda(gpu))
        yield Finding(several.name, several.found, several.advice, several.commands, blocks=False)
    if gpu.free_memory is not None and gpu.free_memory < LITTLE_MEMORY:
        yield Finding(
            "little-gpu-memory",
            f"only {in_gibibytes(gpu.free_memory)} of the GPU's memory is free",
            "other programs use the rest; see which",
            ("nvidia-smi",),
            blocks=False,
        )


def _about_machine(machine: Machine) -> Iterator[Finding]:
    if machine.blas is not None and machine.blas.lower() in SLOW_BLAS:
        yield Finding(
            "slow-blas",
            "NumPy multiplies matrices with a reference BLAS, which makes training many times as slow",
            "install NumPy's own wheel, which brings OpenBLAS",
            (f"{machine.pip} install --force-reinstall --no-deps numpy",),
            blocks=False,
        )
    limit = machine.core_limit
    if limit is not None and limit < machine.usable_cores:
        threads = max(1, int(limit))
        yield Finding(
            "core-limit",
            f"this container may use {limit:g} of its {machine.usable_cores} cores at a time",
            "use no more threads than that",
            (f"minicnn train --threads {threads}",),
            blocks=False,
        )
    free = [size for size in (machine.free_memory, machine.memory_limit) if size is not None]
    if free and min(free) < LITTLE_MEMORY:
        yield Finding(
            "little-memory",
            f"only {in_gibibytes(min(free))} of memory is free",
            "close other programs, or train with smaller batches",
            ("minicnn train --batch-size 8",),
            blocks=False,
        )
    if machine.thread_variables:
        values = ", ".join(f"{name}={value}" for name, value in sorted(machine.thread_variables.items()))
        yield Finding(
            "thread-variables",
            f"{values} makes no difference: minicnn has threads of its own and keeps BLAS to one",
            blocks=False,
        )


# ---- words ---------------------------------------------------------------------------------------------


def _fitting_cuda(gpu: Gpu) -> int:
    """Which of CuPy's wheels fits the driver; the newest one if nothing is known of the driver.

    Examples
    --------
    >>> [_fitting_cuda(Gpu(driver_cuda=cuda)) for cuda in ((12, 4), (13, 2), (14, 0), None)]
    [12, 13, 13, 13]
    """
    newest = max(DRIVER_RELEASES)
    return newest if gpu.driver_cuda is None else min(max(gpu.driver_cuda[0], OLDEST_CUDA), newest)


def _install(machine: Machine, cuda_major: int, options: str = "") -> str:
    return f'{machine.pip} install {options}"cupy-cuda{cuda_major}x[ctk]>={OLDEST_CUPY}"'


def _extra(wheel: str) -> str:
    return f"[ctk]>={OLDEST_CUPY}" if wheel.startswith("cupy-cuda") else ""


def _dotted(version: tuple[int, int] | None) -> str:
    return "?" if version is None else f"{version[0]}.{version[1]}"


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def in_gibibytes(size: int) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> in_gibibytes(3 << 29)
    '1.5 GiB'
    """
    return f"{size / GIBIBYTE:.1f} GiB"
