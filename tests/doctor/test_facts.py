"""Probes on this machine, on made-up files and libraries, and in processes that hang or crash."""

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minicnn.doctor import facts, gather, probe
from minicnn.doctor.facts import Wheel


@pytest.fixture
def no_gpu_programs(tmp_path, monkeypatch):
    """A PATH with nothing on it but what a test writes."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def probe_with(tmp_path, monkeypatch, cupy: str, **files: str):
    """Run the probe where `cupy` is a module with that text."""
    (tmp_path / "cupy.py").write_text(cupy)
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


# ---- the machine ---------------------------------------------------------------------------------------


def test_this_machine():
    machine = facts.look_at_machine()
    assert machine.numpy
    assert machine.python == ".".join(map(str, sys.version_info[:3]))
    assert 1 <= machine.usable_cores <= machine.cores
    assert machine.memory is None or machine.memory > 1 << 28
    if machine.free_memory is not None:
        assert 0 < machine.free_memory <= machine.memory
    if importlib.util.find_spec("pip") is not None:
        answer = subprocess.check_output([*machine.pip.split(), "--version"], text=True)
        assert sys.prefix in answer  # the pip of this Python, not another's


def test_nothing_raises_where_nothing_can_be_found_out(monkeypatch):
    def fail(*arguments, **named):
        raise RuntimeError("there is no such thing here")

    for name in ("_find_blas", "_find_memory", "_control_groups", "_find_pip"):
        monkeypatch.setattr(facts, name, fail)
    monkeypatch.setattr(facts.importlib.metadata, "version", fail)
    machine = facts.look_at_machine()
    assert (machine.blas, machine.memory, machine.core_limit, machine.pip) == (None, None, None, "pip")


def test_thread_variables(monkeypatch):
    for name in facts.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert facts.look_at_machine().thread_variables == {}
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert facts.look_at_machine().thread_variables == {"OPENBLAS_NUM_THREADS": "1"}


def test_limits_of_a_container(tmp_path, monkeypatch):
    root = tmp_path / "cgroup"
    inner = root / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "membership").write_text("4:memory:/elsewhere\n0::/outer/inner\n")
    (inner / "cpu.max").write_text("max 100000\n")
    (inner / "memory.max").write_text("max\n")
    (root / "outer" / "cpu.max").write_text("150000 100000\n")
    (root / "outer" / "memory.max").write_text("2147483648\n")
    groups = facts._control_groups(tmp_path / "membership", root)
    assert groups == [inner, root / "outer", root]
    monkeypatch.setattr(facts, "_control_groups", lambda: groups)
    machine = facts.look_at_machine()
    assert (machine.core_limit, machine.memory_limit) == (1.5, 2 << 30)
    monkeypatch.setattr(facts, "_control_groups", lambda: [inner])
    machine = facts.look_at_machine()
    assert (machine.core_limit, machine.memory_limit) == (None, None)


# ---- hardware and driver -------------------------------------------------------------------------------


def test_pci(tmp_path):
    for number, (vendor, kind) in enumerate(
        [("10de", "0300"), ("10de", "0302"), ("10de", "0403"), ("8086", "0300")]
    ):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "vendor").write_text(f"0x{vendor}\n")
        (tmp_path / str(number) / "class").write_text(f"0x{kind}00\n")
    assert facts.count_pci_gpus(tmp_path) == 2  # neither its sound device nor another maker's GPU
    assert facts.count_pci_gpus(tmp_path / "nothing") is None


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for nvidia-smi")
def test_nvidia_smi(no_gpu_programs):
    assert facts.ask_nvidia_smi() == ()
    write_program(
        no_gpu_programs / "nvidia-smi", 'case "$1" in *=name) echo A; echo B;; *) echo 580.65.06;; esac'
    )
    assert facts.ask_nvidia_smi() == ("A", "B")
    assert facts.read_driver_release(no_gpu_programs / "nothing") == "580.65.06"
    write_program(no_gpu_programs / "nvidia-smi", "echo NVIDIA-SMI has failed; exit 9")
    assert facts.ask_nvidia_smi() == ()


def test_release_of_the_driver(tmp_path):
    kinds = {
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30": "550.54.14",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build": "580.95.05",
        "something else": None,
    }
    for text, release in kinds.items():
        (tmp_path / "version").write_text(f"{text}\nGCC version: 12.3.0\n")
        assert facts.read_driver_release(tmp_path / "version") == release


class FakeDriver:
    """Answers like libcuda, for two GPUs."""

    def __init__(self, status: int) -> None:
        self.status = status

    def cuInit(self, flags):
        return self.status

    def cuDriverGetVersion(self, number):
        number._obj.value = 12040
        return 0

    def cuDeviceGetCount(self, number):
        number._obj.value = 2
        return 0

    def cuDeviceGet(self, device, index):
        device._obj.value = index + 10
        return 0

    def cuDeviceGetName(self, name, length, device):
        name.value = f"GPU of handle {device.value}".encode()

    def cuDeviceTotalMem_v2(self, memory, device):
        memory._obj.value = 8 << 30

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {75: 8, 76: 6}[attribute]


def test_driver(monkeypatch):
    monkeypatch.setattr(probe, "_load_driver", lambda: FakeDriver(0))
    found = probe.find_driver()
    assert json.loads(json.dumps(found)) == {
        "found": True,
        "status": 0,
        "cuda": [12, 4],
        "devices": [
            {"name": f"GPU of handle {handle}", "memory": 8 << 30, "capability": [8, 6]}
            for handle in (10, 11)
        ],
    }
    monkeypatch.setattr(probe, "_load_driver", lambda: FakeDriver(999))
    assert probe.find_driver() == {"found": True, "status": 999, "cuda": [12, 4], "devices": []}


def test_no_driver(monkeypatch):
    def refuse(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert probe.find_driver() == {"found": False}


# ---- CuPy ----------------------------------------------------------------------------------------------


def test_wheels(tmp_path, monkeypatch):
    for name, version in (("cupy_cuda12x", "13.6.0"), ("cupy-cuda13x", "14.2.0"), ("cupy_xarray", "0.1")):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert facts.find_wheels() == (Wheel("cupy-cuda12x", "13.6.0"), Wheel("cupy-cuda13x", "14.2.0"))
    monkeypatch.setattr(sys, "path", [])
    assert facts.find_wheels() == ()


FAKE_CUPY = """
class cuda:
    class runtime:
        runtimeGetVersion = staticmethod(lambda: 12090)
__version__ = "14.2.0"
print("a line that is not ours")
"""


def test_cupy_without_its_libraries(tmp_path, monkeypatch):
    probe_with(tmp_path, monkeypatch, FAKE_CUPY, cupy_backends="raise ImportError('no\\nbackends')")
    gpu = facts.look_at_gpu()
    assert (gpu.cupy, gpu.cupy_cuda, gpu.import_error, gpu.probe_error) == ("14.2.0", (12, 9), None, None)
    assert (gpu.nvrtc, gpu.nvrtc_error, gpu.headers_error, gpu.cublas_error) == (None, "no", "no", "no")


def test_cupy_that_cannot_be_imported(tmp_path, monkeypatch):
    probe_with(tmp_path, monkeypatch, "raise ImportError('===\\nbad\\nOriginal error:\\n  no libx.so\\n===')")
    gpu = facts.look_at_gpu()
    assert (gpu.cupy, gpu.cupy_missing, gpu.import_error) == (None, False, "no libx.so")
    assert gpu.driver_found is not None


def test_cupy_that_is_not_there(tmp_path, monkeypatch):
    probe_with(tmp_path, monkeypatch, "raise ModuleNotFoundError('none', name='cupy')")
    assert facts.look_at_gpu().cupy_missing
    probe_with(tmp_path, monkeypatch, "import a_module_that_is_nowhere")
    gpu = facts.look_at_gpu()
    assert (gpu.cupy_missing, gpu.import_error) == (False, "No module named 'a_module_that_is_nowhere'")


def test_cupy_that_crashes(tmp_path, monkeypatch):
    probe_with(tmp_path, monkeypatch, "import os; os.abort()")
    gpu = facts.look_at_gpu()
    assert gpu.driver_found is not None
    assert gpu.probe_error.startswith("Python crashed (exit status ")
    assert gpu.probe_error.endswith(") while importing CuPy")


def test_cupy_that_hangs(tmp_path, monkeypatch):
    probe_with(tmp_path, monkeypatch, "import time; time.sleep(60)")
    started = time.monotonic()
    found = facts.run_probe(0, seconds=2)
    assert time.monotonic() - started < 30
    assert found["probe_error"] == "there was no answer within 2 seconds while importing CuPy"
    assert "driver" in found


def test_what_lies_in_the_current_folder_is_not_taken_for_cupy(tmp_path, monkeypatch):
    (tmp_path / "cupy.py").write_text(FAKE_CUPY.replace("14.2.0", "current folder"))
    monkeypatch.chdir(tmp_path)
    assert facts.look_at_gpu().cupy != "current folder"


def test_our_own_files_are_not_taken_for_libraries(tmp_path, monkeypatch):
    probe_with(tmp_path, monkeypatch, "import diagnosis")
    assert facts.look_at_gpu().import_error == "No module named 'diagnosis'"


class FakeCupy:
    """As much of CuPy as a trial looks at before it computes."""

    def __init__(self, version: str, capability: str) -> None:
        self.__version__ = version
        self.cuda = self
        self.compute_capability = capability

    def Device(self, index):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


@pytest.mark.parametrize(
    ("version", "capability", "words"),
    [("13.6.0", "90", "CuPy 13.6.0 is older than 14"), ("14.0.0", "72", "compute capability is 72")],
)
def test_trial_refuses(version, capability, words):
    with pytest.raises(RuntimeError, match=words):
        probe.try_device(FakeCupy(version, capability), 0)
    with pytest.raises(AttributeError):  # on to the arithmetic, which the fake has not
        probe.try_device(FakeCupy("14.0.0", "75"), 0)


def test_everything_together():
    found = gather(99)
    assert found.gpu.trial is None
    assert (found.gpu.cupy is None) == (
        found.gpu.import_error is not None or found.gpu.probe_error is not None
    )


@pytest.mark.gpu
def test_a_gpu_that_works():
    gpu = facts.look_at_gpu()
    assert (gpu.trial, gpu.trial_error, gpu.probe_error) == (0, None, None)
    assert 0 < gpu.free_memory <= gpu.devices[0].memory
    assert gpu.nvrtc_error is gpu.headers_error is gpu.cublas_error is gpu.import_error is None
    assert gpu.driver_release
