"""Findings about the GPU itself and NVIDIA's driver: what has to be there before CuPy matters."""

from __future__ import annotations

from minicnn.doctor.facts import Gpu, Machine
from minicnn.doctor.finding import Finding, dotted
from minicnn.doctor.probe import OLDEST_CAPABILITY, OLDEST_CUPY

OLDEST_CUDA = 12  # the oldest that there is a CuPy 14 for
# What a driver has to be at least, for any CUDA of that major version (NVIDIA's compatibility tables).
DRIVER_RELEASES = {12: "525.60", 13: "580.65"}
DOWNLOAD = "https://www.nvidia.com/drivers"


def missing_hardware(gpu: Gpu, machine: Machine) -> Finding | None:
    """Say so if no driver could help: there is no GPU, or the system knows no CUDA."""
    if machine.system == "Darwin":
        return Finding("no-cuda", "CUDA does not exist for macOS")
    if gpu.pci_gpus == 0 and not gpu.devices and not gpu.smi_gpus:
        return Finding("no-gpu", "this machine has no NVIDIA GPU")
    return None


def driver_problem(gpu: Gpu, machine: Machine) -> Finding | None:
    """Find why NVIDIA's driver lends no GPU; None if it does, as far as is known."""
    if not gpu.driver_found:
        return _no_driver(gpu, machine)
    if hides_devices(gpu):
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
            f"NVIDIA's driver is too old: it supports CUDA {dotted(gpu.driver_cuda)}, "
            f"and CuPy {OLDEST_CUPY} needs {OLDEST_CUDA}.0 or later",
            *_update_driver(OLDEST_CUDA, machine),
        )
    if not gpu.devices and gpu.driver_status == 0:
        return _no_device(machine)
    return None


def hides_devices(gpu: Gpu) -> bool:
    """Tell whether CUDA_VISIBLE_DEVICES is why no GPU is seen."""
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
            *restart(machine),
        )
    return Finding(
        "driver-fails",
        f"NVIDIA's driver does not start (cuInit: error {status}), as it happens after the machine has slept",
        *restart(machine),
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


def restart(machine: Machine) -> tuple[str, tuple[str, ...]]:
    """Return advice on how to restart this kind of machine, and what to type."""
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


def no_such_device(gpu: Gpu, index: int) -> Finding:
    """Say which GPUs there are instead."""
    names = ", ".join(f"cuda:{number} ({device.name})" for number, device in enumerate(gpu.devices))
    hidden = f'; CUDA_VISIBLE_DEVICES is "{gpu.visible_devices}"' if gpu.visible_devices else ""
    there = "the only GPU is" if len(gpu.devices) == 1 else "the GPUs are"
    return Finding("no-such-device", f"there is no GPU {index}{hidden}", f"{there} {names}")


def old_device(gpu: Gpu, index: int) -> Finding:
    """Say that a GPU is too old, and which other one is not."""
    device = gpu.devices[index]
    newest = max(gpu.devices, key=lambda other: other.capability)
    advice = ""
    if newest.capability >= OLDEST_CAPABILITY:
        advice = f"use cuda:{gpu.devices.index(newest)} ({newest.name})"
    return Finding(
        "old-device",
        f"{device.name} has compute capability {dotted(device.capability)}, and minicnn needs "
        f"{dotted(OLDEST_CAPABILITY)} or later (GPUs from 2018 on)",
        advice,
    )
