"""What the user reads, and the exit status that a script reads."""

from dataclasses import replace

import pytest

from doctor_facts import CARD, CUPY, DRIVER, MACHINE, NOTHING, READY, WHEEL12, WHEEL13
from minicnn.cli import main
from minicnn.doctor import Facts, Finding, diagnose, gather, gpu_problem, report

NAMED = replace(
    MACHINE, minicnn="0.1.0", python="3.12.1", release="6.8", architecture="x86_64", numpy="2.4.0"
)


def written(gpu, index=0, **machine) -> str:
    facts = Facts(replace(NAMED, **machine), gpu)
    return report(facts, diagnose(facts, index), index)


def test_a_machine_without_a_gpu():
    assert (
        written(NOTHING, blas_threads=2, cores=2, usable_cores=2)
        == """\
minicnn 0.1.0, Python 3.12.1, Linux 6.8 (x86_64)

CPU: ready
  cores     2
  memory    16.0 GiB, 8.0 GiB free
  NumPy     2.4.0, OpenBLAS 0.3.31 with 2 threads

GPU: not usable: this machine has no NVIDIA GPU
  driver    none found
  devices   none found
  CuPy      not installed

Nothing is missing to train on the CPU: minicnn train"""
    )


def test_a_machine_with_something_to_mend():
    gpu = replace(CUPY, nvrtc=None, nvrtc_error="no", headers_error="no", cublas_error="no")
    assert (
        written(gpu).partition("GPU: ")[2]
        == """\
not usable yet
  driver    580.65.06, for CUDA up to 13.0
  cuda:0    NVIDIA GeForce RTX 3060, 12.0 GiB, compute capability 8.6
  CuPy      cupy-cuda13x 14.2.0, CUDA runtime 13.2
  NVRTC     missing
  cuBLAS    missing

CuPy needs libraries that do not come with it, and some are missing: NVRTC (compiles kernels),
cuBLAS (multiplies matrices). Install them:
    pip install --upgrade "cupy-cuda13x[ctk]>=14"

Nothing is missing to train on the CPU (minicnn train). After a change, type minicnn doctor again."""
    )


def test_a_machine_where_all_is_well():
    assert (
        written(READY).partition("GPU: ")[2]
        == """\
ready, as cuda:0
  driver    580.65.06, for CUDA up to 13.0
  cuda:0    NVIDIA GeForce RTX 3060, 12.0 GiB (11.0 GiB free), compute capability 8.6
  CuPy      cupy-cuda13x 14.2.0, CUDA runtime 13.2
  NVRTC     13.5, compiles a kernel
  cuBLAS    loads

All is ready. On the GPU: minicnn train --device cuda"""
    )


def test_the_second_gpu():
    text = written(replace(READY, devices=(CARD, CARD), trial=1), index=1)
    assert "GPU: ready, as cuda:1\n" in text
    assert text.count("(11.0 GiB free)") == 1
    assert text.endswith("minicnn train --device cuda:1")


def test_notes_are_shown_though_there_is_nothing_to_do():
    text = written(READY, thread_variables={"OMP_NUM_THREADS": "1"})
    assert "\n\nOMP_NUM_THREADS=1 makes no difference: " in text


def test_limits_and_warnings_are_shown():
    text = written(READY, cores=16, usable_cores=8, core_limit=2.5, memory_limit=4 << 30)
    assert "  cores     8 of 16 may be used by this process, the container's limit is 2.5\n" in text
    assert "8.0 GiB free, the container's limit is 4.0 GiB\n" in text
    assert "at a time. Use no more threads than that:\n    minicnn train --threads 2\n" in text
    assert "All is ready" in text


@pytest.mark.parametrize(
    ("gpu", "line"),
    [
        (replace(DRIVER, driver_status=999, devices=()), "13.0; does not start (cuInit: error 999)"),
        (replace(DRIVER, driver_status=100, devices=()), "for CUDA up to 13.0, sees no GPU"),
        (replace(DRIVER, devices=(), smi_gpus=("A", "B")), "devices   A, B (not to be used from here)"),
        (replace(NOTHING, pci_gpus=1), "devices   1 NVIDIA GPU plugged in"),
        (replace(NOTHING, driver_found=None, cupy_missing=False, probe_error="crash"), "driver    unknown"),
        (replace(NOTHING, driver_found=None, cupy_missing=False, probe_error="crash"), "CuPy      unknown"),
        (replace(DRIVER, wheels=(WHEEL12, WHEEL13)), "cupy-cuda13x 14.2.0, cannot be imported"),
        (replace(CUPY, headers_error="no"), "NVRTC     13.5, cannot compile a kernel"),
    ],
)  # fmt: skip
def test_rows(gpu, line):
    assert line in written(gpu)


@pytest.mark.parametrize("words", ["cupy-cuda12x is old", "GPU 1 is old", "NVIDIA is old"])
def test_names_keep_their_case(words):
    assert words in report(Facts(NAMED, CUPY), [Finding("old", words, "buy another")])


def test_sentences_begin_with_a_capital():
    text = report(Facts(NAMED, CUPY), [Finding("old", "the GPU is old", "buy another", ("buy",))])
    assert "The GPU is old. Buy another:\n    buy\n" in text


@pytest.mark.parametrize("status", [0, 34, 100, 802, 803, 804, 999])
def test_lines_are_not_too_long(status):
    devices = () if status else CUPY.devices
    for gpu in (
        replace(CUPY, driver_status=status, devices=devices, cublas_error="x"),
        replace(CUPY, driver_status=status, devices=devices, trial_error="many words " * 20),
    ):
        assert max(len(line) for line in written(gpu).splitlines()) <= 100


# ---- this machine --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def here() -> Facts:
    return gather()


@pytest.fixture
def quick(monkeypatch, here):
    """Gather only once: every time takes seconds where there is CuPy."""
    monkeypatch.setattr("minicnn.cli.doctor.gather", lambda index: here)
    monkeypatch.setattr("minicnn.doctor.gather", lambda index: here)


def test_report_of_this_machine(here, capsys):
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"minicnn {here.machine.minicnn}, Python {here.machine.python}, ")
    assert f"NumPy     {here.machine.numpy}, " in out
    for row in ("cores", "memory", "driver", "CuPy"):
        assert f"\n  {row:<10}" in out
    assert ("GPU: ready" in out) == (here.gpu.trial == 0)


def test_exit_status(quick, here, capsys):
    usable = here.gpu.trial == 0
    assert main(["doctor", "--device", "cpu"]) == 0
    assert main(["doctor", "--device", "cuda"]) == (0 if usable else 2)
    assert main(["doctor", "--device", "cuda:0"]) == (0 if usable else 2)
    assert main(["doctor", "--device", "cuda:99"]) == 2
    assert capsys.readouterr().err == ""


def test_problem_in_one_line(quick, here, monkeypatch):
    assert (gpu_problem() is None) == (here.gpu.trial == 0)
    line = gpu_problem(99)
    assert "\n" not in line
    assert len(line) < 300
    monkeypatch.setattr("minicnn.doctor.gather", lambda index: Facts(MACHINE, READY))
    assert gpu_problem() is None
    monkeypatch.setattr("minicnn.doctor.gather", lambda index: Facts(MACHINE, replace(READY, free_memory=1)))
    assert gpu_problem() is None  # a word of warning is no problem
    monkeypatch.setattr("minicnn.doctor.gather", lambda index: Facts(MACHINE, DRIVER))
    assert gpu_problem() == 'CuPy is not installed; install it: pip install "cupy-cuda13x[ctk]>=14"'


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", ""])
def test_unknown_device(device, capsys):
    assert main(["doctor", f"--device={device}"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f'minicnn: error: --device: expected cpu, cuda or cuda:NUMBER, got "{device}"\n'


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--help"])
    assert stop.value.code == 0
    assert "examples:\n  minicnn doctor\n" in capsys.readouterr().out
