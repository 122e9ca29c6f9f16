"""What belongs to one use of the stand-in: current devices and streams, memory, graphs being captured.

CuPy keeps the current device, the current stream of each device and an allocator set by `using_allocator`
for each thread separately. A helper thread that computes on behalf of another starts on device 0 and its
null stream, which is a mistake one cannot see on one device; so the same is done here.
"""

import threading
import weakref
from typing import Any

DEVICES = 2
NULL_STREAM = 0


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.device = 0
        self.streams: list[Any] = [None] * DEVICES  # None: the null stream
        self.allocator: Any = None


class Session:
    """State that starts anew with each `installed()`."""

    def __init__(self) -> None:
        self.thread = _OfThread()
        self.lock = threading.RLock()
        self.limits = [8 << 30] * DEVICES  # bytes
        self.live: list[dict[int, Any]] = [
            {} for _ in range(DEVICES)
        ]  # by id, weak references to allocations
        self.blocks: weakref.WeakSet[Any] = weakref.WeakSet()  # of all devices, in use or not
        self.pools: list[Any] = []  # weak references
        self.default_pool: Any = None
        self.allocator: Any = None
        self.capturing: list[Any] = []  # streams that began a capture and have not ended it
        self.math_modes: dict[int, int] = {}  # by cuBLAS handle


session = Session()


def renew() -> None:
    """Forget everything."""
    session.__init__()


class CUDARuntimeError(RuntimeError):
    """As `cupy.cuda.runtime.CUDARuntimeError`, for the errors that the stand-in knows."""

    _TEXTS = {  # noqa: RUF012
        1: "cudaErrorInvalidValue: invalid argument",
        2: "cudaErrorMemoryAllocation: out of memory",
        101: "cudaErrorInvalidDevice: invalid device ordinal",
        400: "cudaErrorInvalidResourceHandle: invalid resource handle",
        600: "cudaErrorNotReady: device not ready",
        700: "cudaErrorIllegalAddress: an illegal memory access was encountered",
        900: "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing",
        901: "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture",
        902: "cudaErrorStreamCaptureMerge: operation would result in a merge of separate capture sequences",
        903: "cudaErrorStreamCaptureUnmatched: capture was not ended in the same stream as it began",
        904: "cudaErrorStreamCaptureUnjoined: capturing stream has unjoined work",
        905: "cudaErrorStreamCaptureIsolation: dependency created on uncaptured work in another stream",
        906: "cudaErrorStreamCaptureImplicit: operation would make the legacy stream depend on a capturing "
        "blocking stream",
        907: "cudaErrorCapturedEvent: operation not permitted on an event last recorded in a capturing "
        "stream",
    }

    def __init__(self, status: int, detail: str = "") -> None:
        self.status = status
        super().__init__(self._TEXTS[status] + (f" ({detail})" if detail else ""))


CUDARuntimeError.__module__ = "cupy_backends.cuda.api.runtime"


class CUDADriverError(RuntimeError):
    """As `cupy.cuda.driver.CUDADriverError`."""

    _TEXTS = {  # noqa: RUF012
        1: "CUDA_ERROR_INVALID_VALUE: invalid argument",
        500: "CUDA_ERROR_NOT_FOUND: named symbol not found",
    }

    def __init__(self, status: int, detail: str = "") -> None:
        self.status = status
        super().__init__(self._TEXTS[status] + (f" ({detail})" if detail else ""))


CUDADriverError.__module__ = "cupy_backends.cuda.api.driver"
