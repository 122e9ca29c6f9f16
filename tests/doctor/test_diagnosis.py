"""Every usual misfit as hand-made facts, with what the doctor must tell the user to type."""

from dataclasses import replace

import pytest

from doctor_facts import CARD, CUPY, DRIVER, MACHINE, NOTHING, OLD_CARD, READY, WHEEL12, WHEEL13
from minicnn.doctor import Facts, Gpu, Machine, Wheel, diagnose
from minicnn.doctor.finding import GIBIBYTE

INSTALL12, INSTALL13 = 'pip install "cupy-cuda12x[ctk]>=14"', 'pip install "cupy-cuda13x[ctk]>=14"'
RESTART = "sudo reboot"
UBUNTU, WINDOWS = {"distribution": "ubuntu"}, {"system": "Windows"}
CONTAINER, WSL = {"in_container": True}, {"in_wsl": True}


def first(gpu: Gpu, index: int = 0, **machine):
    return diagnose(Facts(replace(MACHINE, **machine), gpu), index)[0]


# name of the finding, facts, machine, a piece of what is found, what to type
MISFITS = [
    ("no-cuda", NOTHING, {"system": "Darwin"}, "does not exist for macOS", ()),
    ("no-gpu", NOTHING, {}, "this machine has no NVIDIA GPU", ()),
    ("no-driver", replace(NOTHING, pci_gpus=1), {}, "there is an NVIDIA GPU, but NVIDIA's driver is not", ()),
    (
        "no-driver",
        replace(NOTHING, pci_gpus=1),
        UBUNTU,
        "there is an",
        ("sudo ubuntu-drivers install", RESTART),
    ),
    ("no-driver", replace(NOTHING, pci_gpus=None), WINDOWS, "or there is no NVIDIA GPU", ()),
    (
        "no-driver",
        replace(NOTHING, pci_gpus=1),
        CONTAINER,
        "this container was given no",
        ("docker run --gpus all ...",),
    ),
    ("no-driver", replace(NOTHING, pci_gpus=None), WSL, "not installed", ("wsl --shutdown",)),
    ("no-device", replace(DRIVER, driver_status=100, devices=()), {}, "finds no GPU", ("nvidia-smi",)),
    ("no-device", replace(DRIVER, devices=()), {}, "finds no GPU", ("nvidia-smi",)),
    (
        "no-device",
        replace(DRIVER, driver_status=100, devices=()),
        CONTAINER,
        "no GPU",
        ("docker run --gpus all ...",),
    ),
    ("driver-fails", replace(DRIVER, driver_status=999, devices=()), {}, "error 999", (RESTART,)),
    ("driver-fails", replace(DRIVER, driver_status=999, devices=()), WINDOWS, "error 999", ()),
    ("driver-fails", replace(DRIVER, driver_status=999, devices=()), WSL, "error 999", ("wsl --shutdown",)),
    ("driver-fails", replace(DRIVER, driver_status=999, devices=()), CONTAINER, "error 999", ()),
    ("driver-mismatch", replace(DRIVER, driver_status=803, devices=()), {}, "different versions", (RESTART,)),
    ("driver-mismatch", replace(DRIVER, driver_status=35, devices=()), {}, "different versions", (RESTART,)),
    (
        "driver-not-ready",
        replace(DRIVER, driver_status=802, devices=()),
        {},
        "802",
        ("sudo systemctl start nvidia-fabricmanager",),
    ),
    (
        "driver-stub",
        replace(DRIVER, driver_status=34, devices=()),
        {},
        "a stub of libcuda",
        ("echo $LD_LIBRARY_PATH",),
    ),
    (
        "driver-compatibility",
        replace(DRIVER, driver_status=804, devices=()),
        {},
        "804",
        ("echo $LD_LIBRARY_PATH",),
    ),
    (
        "old-driver",
        replace(DRIVER, driver_cuda=(11, 8)),
        {},
        "supports CUDA 11.8, and CuPy 14 needs",
        (),
    ),
    (
        "old-driver",
        replace(DRIVER, driver_cuda=(11, 8)),
        UBUNTU,
        "too old",
        ("sudo ubuntu-drivers install", RESTART),
    ),
    (
        "hidden-devices",
        replace(DRIVER, driver_status=100, devices=(), visible_devices=""),
        {},
        'CUDA_VISIBLE_DEVICES is ""',
        ("unset CUDA_VISIBLE_DEVICES",),
    ),
    (
        "hidden-devices",
        replace(DRIVER, devices=(), visible_devices="7"),
        WINDOWS,
        'is "7"',
        ("set CUDA_VISIBLE_DEVICES=",),
    ),
    ("no-cupy", DRIVER, {}, "CuPy is not installed", (INSTALL13,)),
    ("no-cupy", replace(DRIVER, driver_cuda=(12, 4)), {}, "CuPy is not installed", (INSTALL12,)),
    ("no-cupy", replace(DRIVER, driver_cuda=(14, 0)), {}, "CuPy is not installed", (INSTALL13,)),
    (
        "no-cupy",
        DRIVER,
        {"pip": "bin/python -m pip"},
        "not",
        ('bin/python -m pip install "cupy-cuda13x[ctk]>=14"',),
    ),
    (
        "several-wheels",
        replace(CUPY, wheels=(WHEEL12, WHEEL13), trial_error="no kernel image"),
        {},
        "cupy-cuda12x and cupy-cuda13x are installed at once",
        ("pip uninstall cupy-cuda12x cupy-cuda13x", INSTALL13),
    ),
    (
        "several-wheels",
        replace(CUPY, wheels=(Wheel("cupy", "14.2.0"), WHEEL12), driver_cuda=(12, 2), import_error="x"),
        {},
        "cupy and cupy-cuda12x",
        ("pip uninstall cupy cupy-cuda12x", INSTALL12),
    ),
    (
        "wheel-too-new",
        replace(CUPY, driver_cuda=(12, 4), trial_error="cudaErrorInsufficientDriver: too old"),
        {},
        "cupy-cuda13x needs a newer driver: the one here supports CUDA 12.4",
        ("pip uninstall cupy-cuda13x", INSTALL12),
    ),
    (
        "other-wheel",
        replace(CUPY, wheels=(Wheel("cupy-cuda11x", "13.6.0"),), cupy="13.6.0"),
        {},
        "cupy-cuda11x is not made for CUDA 12",
        ("pip uninstall cupy-cuda11x", INSTALL13),
    ),
    (
        "other-wheel",
        replace(CUPY, wheels=(Wheel("cupy-rocm-7-0", "14.0.0"),)),
        {},
        "cupy-rocm-7-0 is not made",
        ("pip uninstall cupy-rocm-7-0", INSTALL13),
    ),
    (
        "damaged-cupy",
        replace(DRIVER, wheels=(WHEEL13,), import_error="No module named 'cupy'"),
        {},
        "its files are missing",
        ("pip install --force-reinstall --no-deps cupy-cuda13x",),
    ),
    (
        "import-error",
        replace(DRIVER, wheels=(WHEEL13,), cupy_missing=False, import_error="ImportError: no x.so"),
        {},
        "CuPy cannot be imported (ImportError: no x.so)",
        ('pip install --force-reinstall "cupy-cuda13x[ctk]>=14"',),
    ),
    (
        "old-cupy",
        replace(CUPY, wheels=(Wheel("cupy-cuda12x", "13.6.0"),), cupy="13.6.0", trial_error="old"),
        {},
        "CuPy 13.6.0 is too old: minicnn needs 14",
        ('pip install --upgrade "cupy-cuda12x[ctk]>=14"',),
    ),
    (
        "missing-libraries",
        replace(CUPY, nvrtc=None, nvrtc_error="no libnvrtc", headers_error="no libnvrtc", cublas_error="no"),
        {},
        "some are missing: NVRTC (compiles kernels), cuBLAS (multiplies matrices)",
        ('pip install --upgrade "cupy-cuda13x[ctk]>=14"',),
    ),
    (
        "missing-libraries",
        replace(CUPY, headers_error="Failed to find CUDA headers. Please install", wheels=(WHEEL12,)),
        {},
        "some are missing: CUDA's headers",
        ('pip install --upgrade "cupy-cuda12x[ctk]>=14"',),
    ),
    (
        "missing-libraries",
        replace(CUPY, headers_error='catastrophic error: could not open source file "cuda_fp16.h"'),
        {},
        "some are missing: CUDA's headers",
        ('pip install --upgrade "cupy-cuda13x[ctk]>=14"',),
    ),
    (
        "missing-libraries",
        replace(CUPY, cublas_error="no libcublas", wheels=(Wheel("cupy", "14.2.0"),), cupy_cuda=(12, 9)),
        {},
        "some are missing: cuBLAS",
        ("pip uninstall cupy", INSTALL12),
    ),
    (
        "compiler-fails",
        replace(CUPY, headers_error="error: identifier is undefined"),
        {},
        "NVRTC 13.5 cannot compile a small kernel (error: identifier is undefined)",
        ('pip install --upgrade "cupy-cuda13x[ctk]>=14"',),
    ),
    (
        "compiler-too-new",
        replace(CUPY, wheels=(WHEEL12,), driver_cuda=(12, 4), trial_error="invalid image"),
        {},
        "NVRTC 13.5 makes kernels that the driver, for CUDA up to 12.4, cannot run",
        ('pip install --upgrade "cupy-cuda12x[ctk]>=14"',),
    ),
    (
        "old-device",
        replace(CUPY, devices=(OLD_CARD,)),
        {},
        "compute capability 6.0, and minicnn needs 7.5",
        (),
    ),
    (
        "device-full",
        replace(CUPY, trial_error="cudaErrorMemoryAllocation: out of memory"),
        {},
        "no memory left",
        ("nvidia-smi",),
    ),
    (
        "device-taken",
        replace(CUPY, trial_error="cudaErrorDevicesUnavailable: busy"),
        {},
        "used by another",
        ("nvidia-smi",),
    ),
    ("trial-fails", replace(CUPY, trial_error="cudaErrorECC: oops"), {}, "fails (cudaErrorECC: oops)", ()),
    (
        "no-answer",
        Gpu(probe_error="Python crashed (exit status -11) while asking the driver"),
        {},
        "crashed",
        (RESTART,),
    ),
    (
        "no-answer",
        replace(CUPY, probe_error="there was no answer within 90 seconds while computing"),
        {},
        "90",
        (RESTART,),
    ),
    ("not-tried", CUPY, {}, "GPU 0 has not been tried", ()),
]


@pytest.mark.parametrize(
    ("name", "gpu", "machine", "words", "commands"),
    MISFITS,
    ids=[f"{number}-{misfit[0]}" for number, misfit in enumerate(MISFITS)],
)
def test_misfit(name, gpu, machine, words, commands):
    finding = first(gpu, **machine)
    assert finding.name == name
    assert words in finding.found
    assert finding.commands == commands
    assert finding.blocks
    assert "\n" not in finding.one_line()
    assert not finding.commands or finding.one_line().endswith(": " + " && ".join(commands))


def test_a_gpu_that_computes_has_no_problem():
    assert diagnose(Facts(MACHINE, READY)) == []


def test_success_is_stronger_than_any_suspicion():
    odd = replace(
        READY, driver_cuda=(12, 0), cupy="13.0", nvrtc_error="x", headers_error="x", import_error="x"
    )
    assert not any(finding.blocks for finding in diagnose(Facts(MACHINE, odd)))


def test_success_on_one_gpu_says_nothing_of_another():
    finding = first(READY, index=1)
    assert finding.name == "no-such-device"
    assert finding.one_line() == "there is no GPU 1; the only GPU is cuda:0 (NVIDIA GeForce RTX 3060)"


def test_gpus_that_are_not_there_because_they_are_hidden():
    two = replace(CUPY, devices=(CARD, CARD), visible_devices="2,3")
    finding = first(two, index=2)
    assert finding.found == 'there is no GPU 2; CUDA_VISIBLE_DEVICES is "2,3"'
    assert finding.advice.startswith("the GPUs are cuda:0 (NVIDIA GeForce RTX 3060), cuda:1 (")


def test_an_old_gpu_beside_a_new_one():
    assert first(replace(CUPY, devices=(OLD_CARD, CARD))).advice == "use cuda:1 (NVIDIA GeForce RTX 3060)"
    assert first(replace(CUPY, devices=(replace(CARD, capability=(7, 5)),))).name == "not-tried"
    assert first(replace(CUPY, devices=(replace(CARD, capability=(7, 2)),))).name == "old-device"


def test_nothing_is_to_be_installed_for_hardware_that_cannot_use_it():
    for gpu in (NOTHING, replace(DRIVER, devices=(OLD_CARD,))):
        assert [finding.commands for finding in diagnose(Facts(MACHINE, gpu))] == [()]


def test_what_comes_after_the_driver_is_said_too():
    gpu = replace(DRIVER, driver_status=999, devices=())
    assert [finding.name for finding in diagnose(Facts(MACHINE, gpu))] == ["driver-fails", "no-cupy"]


def test_nothing_comes_after_a_driver_that_may_be_for_no_gpu():
    for gpu in (
        replace(NOTHING, pci_gpus=1),
        replace(DRIVER, driver_status=100, devices=(), visible_devices=""),
    ):
        assert len(diagnose(Facts(MACHINE, gpu))) == 1


def test_a_driver_too_old_for_any_cupy_will_be_one_for_cuda_12():
    old = replace(DRIVER, driver_cuda=(11, 8))
    assert [finding.commands for finding in diagnose(Facts(MACHINE, old))] == [(), (INSTALL12,)]


def test_a_newer_driver_is_named_beside_an_older_cupy():
    assert "install driver 580.65 or later" in first(replace(CUPY, driver_cuda=(12, 4))).advice
    assert "525.60 or later" in first(replace(DRIVER, driver_cuda=(11, 8))).advice


# ---- no obstacle, but worth a word ---------------------------------------------------------------------

WORDS = [
    (
        "several-wheels",
        {},
        {"wheels": (WHEEL12, WHEEL13)},
        ("pip uninstall cupy-cuda12x cupy-cuda13x", INSTALL13),
    ),
    ("little-gpu-memory", {}, {"free_memory": GIBIBYTE // 2}, ("nvidia-smi",)),
    ("slow-blas", {"blas": "blas"}, {}, ("pip install --force-reinstall --no-deps numpy",)),
    ("core-limit", {"usable_cores": 8, "core_limit": 2.5}, {}, ("minicnn train --threads 2",)),
    ("core-limit", {"usable_cores": 8, "core_limit": 0.5}, {}, ("minicnn train --threads 1",)),
    ("little-memory", {"free_memory": GIBIBYTE // 2}, {}, ("minicnn train --batch-size 8",)),
    ("little-memory", {"memory_limit": GIBIBYTE // 2}, {}, ("minicnn train --batch-size 8",)),
    ("thread-variables", {"thread_variables": {"OMP_NUM_THREADS": "1"}}, {}, ()),
]


@pytest.mark.parametrize(("name", "machine", "gpu", "commands"), WORDS)
def test_word(name, machine, gpu, commands):
    (finding,) = diagnose(Facts(replace(MACHINE, **machine), replace(READY, **gpu)))
    assert (finding.name, finding.commands, finding.blocks) == (name, commands, False)


def test_a_machine_of_which_nothing_is_known():
    assert not any(finding.name != "not-tried" for finding in diagnose(Facts(Machine(), replace(CUPY))))
    assert diagnose(Facts(Machine(core_limit=4.0, usable_cores=4), READY)) == []
