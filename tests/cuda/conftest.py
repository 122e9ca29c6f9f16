"""Tests of the GPU path run twice: on a stand-in for CuPy, everywhere, and with `-m gpu` on a real GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import host_cuda
from minicnn import backend
from minicnn.cuda import cublas, graph, kernels, products

no_compiler = pytest.mark.skipif(
    host_cuda.compiler() is None, reason="no C++ compiler that could compile the kernels for the CPU"
)


def try_device(cupy, index):
    """Do what the doctor does on a real GPU, as far as it leaves traces: afterwards nothing is changed."""
    with cupy.cuda.Device(index):
        cupy.empty(1)


@contextmanager
def emulated_gpu(monkeypatch) -> Iterator[None]:
    """Let "cuda" be a stand-in that runs kernels on the CPU: see tests/emulated_cupy and tests/host_cuda."""
    import emulated_cupy

    # What the doctor tries on a real GPU (fp16 headers, and so on) is not its business.
    monkeypatch.setattr("minicnn.doctor.probe.try_device", try_device)
    library = emulated_cupy.cublas_library()
    monkeypatch.setattr(cublas, "_library", lambda: library)
    monkeypatch.setattr(cublas, "_state", cublas._ThreadState())
    monkeypatch.setattr(graph, "_state", graph._ThreadState())
    monkeypatch.setattr(products, "_precision", "highest")  # and afterwards what it was
    with emulated_cupy.installed():
        backend._import_cupy.cache_clear()
        yield
    backend._import_cupy.cache_clear()
    kernels._module.cache_clear()
    kernels.kernel.cache_clear()


@pytest.fixture(
    params=[pytest.param("stand-in", marks=no_compiler), pytest.param("device", marks=pytest.mark.gpu)]
)
def gpu(request, monkeypatch) -> Iterator[str]:
    """Give the name of a GPU, real or not."""
    if request.param == "device":
        monkeypatch.setattr(products, "_precision", "highest")
        yield "cuda"
    else:
        with emulated_gpu(monkeypatch):
            yield "cuda"


@pytest.fixture
def stand_in(monkeypatch) -> Iterator[str]:
    """Give the name of a GPU that is not real: for what is not to be tried on a real one."""
    if host_cuda.compiler() is None:
        pytest.skip("no C++ compiler that could compile the kernels for the CPU")
    with emulated_gpu(monkeypatch):
        yield "cuda"
