"""Two devices, of which one is current in each thread, and what `cupy.cuda.runtime` tells about them."""

from types import TracebackType
from typing import Any

from emulated_cupy.capture import refuse_if_anything_captures
from emulated_cupy.memory import reserved_bytes
from emulated_cupy.session import DEVICES, CUDARuntimeError, session

COMPUTE_CAPABILITY = (8, 0)
MULTIPROCESSORS = 4


def check_device(number: int) -> None:
    """Raise what CUDA does when there is no such device."""
    if not 0 <= number < DEVICES:
        raise CUDARuntimeError(101)


class Device:
    """`cupy.cuda.Device`. Like CuPy's, it notices only when it is used that there is no such device."""

    def __init__(self, device: Any = None) -> None:
        self.id = session.thread.device if device is None else int(getattr(device, "id", device))
        self._before: list[int] = []

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash((Device, self.id))

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def __enter__(self) -> "Device":
        before = session.thread.device
        self.use()
        self._before.append(before)
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        session.thread.device = self._before.pop()

    def use(self) -> None:
        check_device(self.id)
        session.thread.device = self.id

    def synchronize(self) -> None:
        check_device(self.id)
        refuse_if_anything_captures("Device.synchronize")

    @property
    def mem_info(self) -> tuple[int, int]:
        check_device(self.id)
        return session.limits[self.id] - reserved_bytes(self.id), session.limits[self.id]

    @property
    def compute_capability(self) -> str:
        check_device(self.id)
        return "".join(map(str, COMPUTE_CAPABILITY))

    @property
    def attributes(self) -> dict[str, int]:
        check_device(self.id)
        return {
            "ComputeCapabilityMajor": COMPUTE_CAPABILITY[0],
            "ComputeCapabilityMinor": COMPUTE_CAPABILITY[1],
            "MultiProcessorCount": MULTIPROCESSORS,
            "MaxThreadsPerBlock": 1024,
            "MaxThreadsPerMultiProcessor": 2048,
            "MaxSharedMemoryPerBlock": 48 << 10,
            "MaxSharedMemoryPerBlockOptin": 163 << 10,
            "MaxSharedMemoryPerMultiprocessor": 164 << 10,
            "MaxGridDimX": 2**31 - 1,
            "MaxGridDimY": 2**16 - 1,
            "MaxGridDimZ": 2**16 - 1,
            "WarpSize": 32,
        }

    @property
    def cublas_handle(self) -> int:
        check_device(self.id)
        return 0xC0B1A500 + self.id


Device.__module__ = "cupy.cuda.device"


def get_cublas_handle() -> int:
    return Device().cublas_handle


def get_compute_capability() -> str:
    return Device().compute_capability


def get_device_id() -> int:
    return session.thread.device


# ---- cupy.cuda.runtime ----


def getDeviceCount() -> int:
    return DEVICES


def getDevice() -> int:
    return session.thread.device


def setDevice(device: int) -> None:
    Device(device).use()


def deviceSynchronize() -> None:
    Device().synchronize()


def memGetInfo() -> tuple[int, int]:
    return Device().mem_info


def runtimeGetVersion() -> int:
    return 12090


def driverGetVersion() -> int:
    return 12090


def getDeviceProperties(device: int) -> dict[str, Any]:
    check_device(device)
    attributes = Device(device).attributes
    return {
        "name": b"Stand-in for a GPU",
        "totalGlobalMem": session.limits[device],
        "major": COMPUTE_CAPABILITY[0],
        "minor": COMPUTE_CAPABILITY[1],
        "multiProcessorCount": MULTIPROCESSORS,
        "maxThreadsPerBlock": attributes["MaxThreadsPerBlock"],
        "sharedMemPerBlock": attributes["MaxSharedMemoryPerBlock"],
        "sharedMemPerBlockOptin": attributes["MaxSharedMemoryPerBlockOptin"],
        "warpSize": attributes["WarpSize"],
    }


def is_available() -> bool:
    return True


def get_local_runtime_version() -> int:
    return runtimeGetVersion()


RUNTIME = {
    function.__name__: function
    for function in (
        getDeviceCount, getDevice, setDevice, deviceSynchronize, memGetInfo, runtimeGetVersion,
        driverGetVersion, getDeviceProperties,
    )
} | {
    "CUDARuntimeError": CUDARuntimeError,
    "CUDA_R_32F": 0,
    "CUDA_R_64F": 1,
    "CUDA_R_16F": 2,
    "CUDA_R_16BF": 14,
    "streamCaptureModeGlobal": 0,
    "streamCaptureModeThreadLocal": 1,
    "streamCaptureModeRelaxed": 2,
    "streamCaptureStatusNone": 0,
    "streamCaptureStatusActive": 1,
    "streamCaptureStatusInvalidated": 2,
    "streamDefault": 0,
    "streamNonBlocking": 1,
    "eventDefault": 0,
    "eventDisableTiming": 2,
    "is_hip": False,
}  # fmt: skip
