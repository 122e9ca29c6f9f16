"""What `minicnn doctor` looks at, and how each thing is found out.

No probe raises, whatever the machine is like: what cannot be found out is None. Everything that touches
the GPU happens in another process, with a limit on its time (`probe`).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from minicnn.doctor.probe import TAG

PROBE_SECONDS = 90.0  # a GPU that sleeps, and CuPy on a slow disk, take some ten seconds
NVIDIA_SMI_SECONDS = 20.0
NVIDIA = "0x10de"  # its number as a maker of PCI devices
DISPLAY_CONTROLLER = "0x03"  # the class of PCI devices that GPUs are in
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")

Version = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """What there is to compute on without a GPU. Memory is in bytes."""

    system: str = "Linux"  # as platform.system() has it: Linux, Darwin, Windows
    release: str = ""
    architecture: str = ""
    distribution: str = ""  # of Linux: ubuntu, debian, fedora, ...
    in_container: bool = False
    in_wsl: bool = False  # Linux inside Windows
    python: str = ""
    minicnn: str = ""
    numpy: str = ""
    blas: str | None = None
    blas_version: str | None = None
    blas_threads: int | None = None
    thread_variables: dict[str, str] = field(default_factory=dict)
    cores: int = 1
    usable_cores: int = 1
    core_limit: float | None = None  # of the container
    memory: int | None = None
    free_memory: int | None = None
    memory_limit: int | None = None  # of the container
    pip: str = "pip"  # what to type to call the pip of this Python


@dataclass(frozen=True)
class Device:
    """A GPU as its driver describes it."""

    name: str
    memory: int
    capability: Version


@dataclass(frozen=True)
class Wheel:
    """An installed distribution of CuPy."""

    name: str
    version: str

    @property
    def cuda_major(self) -> int | None:
        """The CUDA it is made for, as far as its name tells.

        Examples
        --------
        >>> Wheel("cupy-cuda13x", "14.2.0").cuda_major, Wheel("cupy-cuda112", "10.6.0").cuda_major
        (13, 11)
        >>> Wheel("cupy", "14.2.0").cuda_major
        """
        match = re.fullmatch(r"cupy-cuda(\d\d)\w*", self.name)
        return int(match[1]) if match else None


@dataclass(frozen=True)
class Gpu:
    """What there is to compute on a GPU with, from the bottom (hardware) to the top (CuPy)."""

    pci_gpus: int | None = None  # NVIDIA GPUs that are plugged in, whether or not a driver knows them
    smi_gpus: tuple[str, ...] = ()  # names according to nvidia-smi, which sees hidden ones too
    visible_devices: str | None = None  # CUDA_VISIBLE_DEVICES
    driver_found: bool | None = None  # None: not even that is known
    driver_release: str | None = None  # such as 580.65.06
    driver_cuda: Version | None = None  # the newest CUDA the driver supports
    driver_status: int | None = None  # what cuInit returned; 0 is good
    devices: tuple[Device, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    cupy: str | None = None  # the version of the CuPy that was imported
    cupy_cuda: Version | None = None  # the CUDA runtime it was built with
    cupy_missing: bool = False
    import_error: str | None = None
    nvrtc: Version | None = None
    nvrtc_error: str | None = None
    headers_error: str | None = None
    cublas_error: str | None = None
    trial: int | None = None  # number of the GPU that was used with success
    trial_error: str | None = None
    free_memory: int | None = None  # of that GPU
    probe_error: str | None = None  # why there are no further facts


@dataclass(frozen=True)
class Facts:
    """Everything `minicnn doctor` knows."""

    machine: Machine
    gpu: Gpu


def gather(index: int = 0) -> Facts:
    """Look at this machine; the GPU of that number is tried."""
    return Facts(look_at_machine(), look_at_gpu(index))


def _attempt(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except Exception:  # noqa: BLE001 - a fact that cannot be had is no reason to stop
        return None


# ---- the machine ---------------------------------------------------------------------------------------


def look_at_machine() -> Machine:
    """Look at processor, memory and NumPy."""
    blas = _attempt(_find_blas) or (None, None, None)
    cores = os.cpu_count() or 1
    memory, free_memory = _attempt(_find_memory) or (None, None)
    groups = _attempt(_control_groups) or []
    release = platform.release()
    return Machine(
        system=platform.system(),
        release=release,
        architecture=platform.machine(),
        distribution=(_attempt(platform.freedesktop_os_release) or {}).get("ID", ""),
        in_container=any(os.path.exists(path) for path in ("/.dockerenv", "/run/.containerenv")),
        in_wsl="microsoft" in release.lower(),
        python=platform.python_version(),
        minicnn=_attempt(lambda: importlib.metadata.version("minicnn")) or "",
        numpy=_attempt(lambda: importlib.metadata.version("numpy")) or "",
        blas=blas[0],
        blas_version=blas[1],
        blas_threads=blas[2],
        thread_variables={name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        cores=cores,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores,
        core_limit=min(filter(None, map(_read_core_limit, groups)), default=None),
        memory=memory,
        free_memory=free_memory,
        memory_limit=min(filter(None, map(_read_memory_limit, groups)), default=None),
        pip=_attempt(_find_pip) or "pip",
    )


def _find_blas() -> tuple[str | None, str | None, int | None]:
    """Name, version and threads of the library that multiplies NumPy's matrices."""
    import numpy as np
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas":
            return library["internal_api"], library["version"], library["num_threads"]
    # threadpoolctl knows those that have threads; the others only NumPy can name.
    used: Any = np.show_config(mode="dicts")
    return used["Build Dependencies"]["blas"]["name"], None, None


def _find_memory() -> tuple[int | None, int | None]:
    """All memory and what is free of it, in bytes."""
    with suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return kilobytes["MemTotal"] * 1024, kilobytes["MemAvailable"] * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None


def _control_groups(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> list[Path]:
    """Folders of the control groups (version 2) that this process is in: each may set limits."""
    for line in membership.read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            group = root / path.strip("/")
            return [group, *(parent for parent in group.parents if root in (parent, *parent.parents))]
    return []


def _read_core_limit(group: Path) -> float | None:
    def read() -> float:
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)  # "max" is no number, and no limit

    return _attempt(read)


def _read_memory_limit(group: Path) -> int | None:
    return _attempt(lambda: int((group / "memory.max").read_text()))


def _find_pip() -> str:
    """What calls the pip of this Python: the plain word only where the shell finds the right one."""
    if importlib.util.find_spec("pip") is None:
        return "uv pip" if shutil.which("uv") else "pip"
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    python = os.path.relpath(sys.executable)
    return f"{sys.executable if python.startswith('..') else python} -m pip"


# ---- the GPU -------------------------------------------------------------------------------------------


def look_at_gpu(index: int = 0) -> Gpu:
    """Look at hardware, driver and CuPy, and try the GPU of that number."""
    found = run_probe(index)
    driver: dict[str, Any] = found.get("driver", {})
    devices = tuple(
        Device(device["name"], device["memory"], _version(device["capability"]) or (0, 0))
        for device in driver.get("devices", ())
    )
    # Every name a probe gives to a failure of a step is a field here, too.
    errors = {f"{step}_error": found.get(step, {}).get(f"{step}_error") for step in CUPY_STEPS}
    cupy = found.get("import", {})
    return Gpu(
        pci_gpus=_attempt(count_pci_gpus),
        smi_gpus=() if devices else _attempt(ask_nvidia_smi) or (),
        visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        driver_found=driver.get("found"),
        driver_release=_attempt(read_driver_release),
        driver_cuda=_version(driver.get("cuda")),
        driver_status=driver.get("status"),
        devices=devices,
        wheels=_attempt(find_wheels) or (),
        cupy=cupy.get("version"),
        cupy_cuda=_version(cupy.get("cuda")),
        cupy_missing=cupy.get("missing", False),
        nvrtc=_version(found.get("nvrtc", {}).get("nvrtc")),
        trial=found.get("trial", {}).get("trial"),
        free_memory=found.get("trial", {}).get("free"),
        probe_error=found.get("probe_error"),
        **errors,
    )


CUPY_STEPS = ("import", "nvrtc", "headers", "cublas", "trial")


def _version(numbers: list[int] | None) -> Version | None:
    return (numbers[0], numbers[1]) if numbers else None


def run_probe(index: int, seconds: float = PROBE_SECONDS) -> dict[str, Any]:
    """Start `probe` and collect what its steps found, by their names; "probe_error" if it did not finish."""
    # -P: what lies in the folder of the program must not be imported in place of something else.
    command = [sys.executable, "-P", "-W", "ignore", str(Path(__file__).with_name("probe.py")), str(index)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        return {"probe_error": f"no other process could be started: {error.strerror}"}
    ending = ""
    try:
        output = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired as expired:
        process.kill()
        output = expired.stdout or b""
        ending = f"there was no answer within {seconds:g} seconds while"
        with suppress(subprocess.TimeoutExpired):  # a process that hangs in the driver may not even die
            output = process.communicate(timeout=1)[0]
    found: dict[str, Any] = {}
    doing = "starting"
    for line in output.decode(errors="replace").splitlines():
        if line.startswith(TAG):
            said = json.loads(line.removeprefix(TAG))
            doing = said.get("doing", doing)
            if "step" in said:
                found[said["step"]] = said["found"]
    if not ending and process.returncode != 0:
        ending = f"Python crashed (exit status {process.returncode}) while"
    if ending:
        found["probe_error"] = f"{ending} {doing}"
    return found


def count_pci_gpus(devices: Path = Path("/sys/bus/pci/devices")) -> int | None:
    """Count the NVIDIA GPUs that are plugged in; None where that cannot be seen, as inside Windows' Linux."""
    if not devices.is_dir() or "microsoft" in platform.release().lower():
        return None
    return sum(
        (device / "vendor").read_text().strip() == NVIDIA
        and (device / "class").read_text().startswith(DISPLAY_CONTROLLER)
        for device in devices.iterdir()
    )


def read_driver_release(path: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Read the release of the driver in the kernel, or ask nvidia-smi for it."""
    with suppress(OSError):
        match = re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", path.read_text())
        return match[1] if match else None
    lines = _run_nvidia_smi("--query-gpu=driver_version")
    return lines[0] if lines else None


def ask_nvidia_smi() -> tuple[str, ...]:
    """Names of all GPUs, hidden or not."""
    return tuple(_run_nvidia_smi("--query-gpu=name"))


def _run_nvidia_smi(query: str) -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run(
            [program, query, "--format=csv,noheader"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return (
        [line.strip() for line in answer.stdout.splitlines() if line.strip()] if not answer.returncode else []
    )


def find_wheels() -> tuple[Wheel, ...]:
    """Find all installed distributions of CuPy, which are called cupy or cupy-something."""
    found = set()
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if name == "cupy" or re.match(r"cupy-(cuda|rocm)", name):
            found.add((name, distribution.version))
    return tuple(Wheel(name, version) for name, version in sorted(found))
