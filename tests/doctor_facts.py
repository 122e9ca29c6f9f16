"""Facts of made-up machines, from one without a GPU to one where everything works."""

from dataclasses import replace

from minicnn.doctor import Device, Gpu, Machine, Wheel
from minicnn.doctor.finding import GIBIBYTE

CARD = Device("NVIDIA GeForce RTX 3060", 12 * GIBIBYTE, (8, 6))
OLD_CARD = Device("Tesla P100", 16 * GIBIBYTE, (6, 0))
WHEEL12, WHEEL13 = Wheel("cupy-cuda12x", "14.2.0"), Wheel("cupy-cuda13x", "14.2.0")
MACHINE = Machine(memory=16 * GIBIBYTE, free_memory=8 * GIBIBYTE, blas="openblas", blas_version="0.3.31")
READY = Gpu(
    pci_gpus=1,
    driver_found=True,
    driver_release="580.65.06",
    driver_cuda=(13, 0),
    driver_status=0,
    devices=(CARD,),
    wheels=(WHEEL13,),
    cupy="14.2.0",
    cupy_cuda=(13, 2),
    nvrtc=(13, 5),
    trial=0,
    free_memory=11 * GIBIBYTE,
)
DRIVER = replace(
    READY, wheels=(), cupy=None, cupy_cuda=None, nvrtc=None, trial=None, free_memory=None, cupy_missing=True
)
CUPY = replace(READY, trial=None, free_memory=None)
NOTHING = Gpu(pci_gpus=0, driver_found=False, cupy_missing=True)
