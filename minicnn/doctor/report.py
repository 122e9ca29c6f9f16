"""What `minicnn doctor` prints: facts in two columns, then findings with what to type."""

from __future__ import annotations

import textwrap

from minicnn.doctor.facts import Device, Facts, Gpu, Machine
from minicnn.doctor.finding import Finding, in_gibibytes

WIDTH = 96
MARGIN = 12  # of the facts

Row = tuple[str, str]


def report(facts: Facts, findings: list[Finding], index: int = 0) -> str:
    """Write down facts and findings.

    Parameters
    ----------
    facts : Facts
        What was found.
    findings : list of Finding
        What it means, as `diagnose` says.
    index : int, default=0
        Number of the GPU that was asked for.

    Returns
    -------
    str
        Some fifteen lines.
    """
    blocking = [finding for finding in findings if finding.blocks]
    machine = facts.machine
    lines = [
        f"minicnn {machine.minicnn}, Python {machine.python}, {machine.system} {machine.release} "
        f"({machine.architecture})".replace("  ", " "),
        "",
        "CPU: ready",
        *_table(_machine_rows(machine)),
        "",
        *textwrap.wrap(f"GPU: {_verdict(blocking, index)}", WIDTH, subsequent_indent="     "),
        *_table(_gpu_rows(facts.gpu)),
        "",
    ]
    with_advice = [finding for finding in findings if finding.advice or not finding.blocks]
    for finding in with_advice:
        lines += [*_paragraph(finding), ""]
    lines.append(_last_word(blocking, index))
    return "\n".join(lines)


def _verdict(blocking: list[Finding], index: int) -> str:
    if not blocking:
        return f"ready, as cuda:{index}"
    return f"not usable: {blocking[0].found}" if not blocking[0].advice else "not usable yet"


def _last_word(blocking: list[Finding], index: int) -> str:
    device = "cuda" if index == 0 else f"cuda:{index}"
    if not blocking:
        return f"All is ready. On the GPU: minicnn train --device {device}"
    if not blocking[0].advice:
        return "Nothing is missing to train on the CPU: minicnn train"
    return (
        "Nothing is missing to train on the CPU (minicnn train). After a change, type minicnn doctor again."
    )


def _machine_rows(machine: Machine) -> list[Row]:
    cores = str(machine.cores)
    if machine.usable_cores != machine.cores:
        cores = f"{machine.usable_cores} of {machine.cores} may be used by this process"
    if machine.core_limit is not None:
        cores += f", the container's limit is {machine.core_limit:g}"
    memory = "unknown" if machine.memory is None else in_gibibytes(machine.memory)
    if machine.free_memory is not None:
        memory += f", {in_gibibytes(machine.free_memory)} free"
    if machine.memory_limit is not None:
        memory += f", the container's limit is {in_gibibytes(machine.memory_limit)}"
    return [("cores", cores), ("memory", memory), ("NumPy", f"{machine.numpy}, {_blas(machine)}")]


BLAS_NAMES = {"openblas": "OpenBLAS", "scipy-openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}


def _blas(machine: Machine) -> str:
    if machine.blas is None:
        return "unknown BLAS"
    name = BLAS_NAMES.get(machine.blas, machine.blas or "no BLAS")
    version = f" {machine.blas_version}" if machine.blas_version else ""
    if machine.blas_threads is None:
        return name + version
    return f"{name}{version} with {_count(machine.blas_threads, 'thread')}"


def _gpu_rows(gpu: Gpu) -> list[Row]:
    return [("driver", _driver(gpu)), *_devices(gpu), ("CuPy", _cupy(gpu)), *_libraries(gpu)]


def _driver(gpu: Gpu) -> str:
    if not gpu.driver_found:
        return "unknown" if gpu.driver_found is None else "none found"
    release = f"{gpu.driver_release}, " if gpu.driver_release else ""
    cuda = "CUDA version unknown" if gpu.driver_cuda is None else f"for CUDA up to {_dotted(gpu.driver_cuda)}"
    state = f"; does not start (cuInit: error {gpu.driver_status})"
    state = {0: "", 100: ", sees no GPU"}.get(gpu.driver_status or 0, state)
    return f"{release}{cuda}{state}"


def _devices(gpu: Gpu) -> list[Row]:
    if gpu.devices:
        return [(f"cuda:{number}", _device(gpu, number, device)) for number, device in enumerate(gpu.devices)]
    if gpu.smi_gpus:
        return [("devices", f"{', '.join(gpu.smi_gpus)} (not to be used from here)")]
    if gpu.pci_gpus:
        return [("devices", f"{_count(gpu.pci_gpus, 'NVIDIA GPU')} plugged in")]
    return [("devices", "none found")]


def _device(gpu: Gpu, number: int, device: Device) -> str:
    free = f" ({in_gibibytes(gpu.free_memory)} free)" if gpu.trial == number and gpu.free_memory else ""
    return (
        f"{device.name}, {in_gibibytes(device.memory)}{free}, compute capability {_dotted(device.capability)}"
    )


def _cupy(gpu: Gpu) -> str:
    wheels = ", ".join(f"{wheel.name} {wheel.version}" for wheel in gpu.wheels)
    if gpu.cupy is None:
        if wheels:
            return f"{wheels}, cannot be imported"
        if gpu.probe_error:
            return "unknown"
        return "not installed" if gpu.cupy_missing or gpu.import_error is None else "cannot be imported"
    runtime = f", CUDA runtime {_dotted(gpu.cupy_cuda)}"
    return (wheels or f"{gpu.cupy}") + runtime


def _libraries(gpu: Gpu) -> list[Row]:
    """NVRTC, headers and cuBLAS; nothing is known of them without CuPy."""
    if gpu.cupy is None:
        return []
    nvrtc = "missing" if gpu.nvrtc is None else _dotted(gpu.nvrtc)
    compiles = "compiles a kernel" if not gpu.headers_error else "cannot compile a kernel"
    cublas = "missing" if gpu.cublas_error else "loads"
    return [("NVRTC", nvrtc if gpu.nvrtc is None else f"{nvrtc}, {compiles}"), ("cuBLAS", cublas)]


def _table(rows: list[Row]) -> list[str]:
    lines = []
    for name, text in rows:
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=f"  {name:<{MARGIN - 2}}", subsequent_indent=" " * MARGIN
        )
    return lines


def _paragraph(finding: Finding) -> list[str]:
    word = finding.found.split()[0]
    is_a_name = not (word.isalpha() and word.islower())
    text = finding.found if is_a_name else finding.found[0].upper() + finding.found[1:]
    if finding.advice:
        text += f". {finding.advice[0].upper()}{finding.advice[1:]}"
    text += ":" if finding.commands else "."
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [*lines, *(f"    {command}" for command in finding.commands)]


def _dotted(version: tuple[int, int] | None) -> str:
    return "?" if version is None else f"{version[0]}.{version[1]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
