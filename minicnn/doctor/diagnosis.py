"""From facts to findings: what is wrong, what that means, and what to type. A pure function of the facts."""

from __future__ import annotations

from collections.abc import Iterator

from minicnn.doctor.cupy_wheels import cupy_problems, failed_trial, fitting_cuda, several_wheels
from minicnn.doctor.driver import (
    driver_problem,
    hides_devices,
    missing_hardware,
    no_such_device,
    old_device,
    restart,
)
from minicnn.doctor.facts import Facts, Gpu, Machine
from minicnn.doctor.finding import Finding, in_gibibytes
from minicnn.doctor.machine import LITTLE_MEMORY, about_machine
from minicnn.doctor.probe import OLDEST_CAPABILITY


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
    return [*about_gpu, *about_machine(facts.machine)]


def _obstacles(facts: Facts, index: int) -> Iterator[Finding]:
    """Go from the hardware up to CuPy. Where the hardware cannot do it, what stands on it does not matter."""
    gpu, machine = facts.gpu, facts.machine
    if (without_hardware := missing_hardware(gpu, machine)) is not None:
        yield without_hardware
        return
    if gpu.driver_found is None:
        yield _probe_failed(gpu, machine)
        return
    if (driver := driver_problem(gpu, machine)) is not None:
        yield driver
        if not gpu.driver_found or hides_devices(gpu):
            return
    if gpu.devices and index >= len(gpu.devices):
        yield no_such_device(gpu, index)
        return
    if index < len(gpu.devices) and gpu.devices[index].capability < OLDEST_CAPABILITY:
        yield old_device(gpu, index)
        return
    yield from cupy_problems(gpu, machine)
    if gpu.probe_error:
        yield _probe_failed(gpu, machine)
    elif gpu.trial_error:
        yield failed_trial(gpu, machine, index)


def _probe_failed(gpu: Gpu, machine: Machine) -> Finding:
    advice, commands = restart(machine)
    return Finding(
        "no-answer", f"the GPU could not be tried: {gpu.probe_error}", f"if that stays, {advice}", commands
    )


def _unexplained(index: int) -> Finding:
    return Finding("not-tried", f"GPU {index} has not been tried")


def _in_spite_of_success(facts: Facts) -> Iterator[Finding]:
    gpu, machine = facts.gpu, facts.machine
    names = tuple(wheel.name for wheel in gpu.wheels)
    if len(names) > 1:
        several = several_wheels(names, machine, fitting_cuda(gpu))
        yield Finding(several.name, several.found, several.advice, several.commands, blocks=False)
    if gpu.free_memory is not None and gpu.free_memory < LITTLE_MEMORY:
        yield Finding(
            "little-gpu-memory",
            f"only {in_gibibytes(gpu.free_memory)} of the GPU's memory is free",
            "other programs use the rest; see which",
            ("nvidia-smi",),
            blocks=False,
        )
