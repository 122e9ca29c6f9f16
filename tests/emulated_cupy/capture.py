"""Streams, events and graphs; and `execute`, through which every operation of the stand-in goes.

Outside of a capture, operations run at once: one after the other, whatever their streams. While the current
stream captures, they are recorded and nothing happens, until the graph is launched. What needs values on the
host cannot be recorded; it is refused, and as in CUDA the whole capture has failed then.

Several streams may take part in a capture: a stream that waits for an event of a capturing stream joins it.
All of them have to be waited for, directly or not, by the first one, before it ends the capture. The counts
of operations that each stream knows to be done ("clocks") tell whether they were.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from emulated_cupy.memory import Allocation, Block, MemoryPointer
from emulated_cupy.session import NULL_STREAM, CUDARuntimeError, session

Clock = dict[int, int]  # by stream: how many of its captured operations come before

_pointers = itertools.count(0x5000, 0x10)


class Capture:
    """Operations being recorded."""

    def __init__(self, origin: "Stream") -> None:
        self.origin = origin
        self.streams = [origin]
        self.operations: list[tuple[Callable[[], None], Any]] = []
        self.is_valid = True


class Graph:
    """As `cupy.cuda.Graph`: what was recorded, to be run any number of times."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "currently this class cannot be initiated by the user and must be created via stream capture"
        )

    @classmethod
    def _of(cls, operations: list[tuple[Callable[[], None], Any]]) -> "Graph":
        graph = object.__new__(cls)
        graph._operations = operations
        return graph

    def launch(self, stream: "Stream | None" = None) -> None:
        for operation, keep in self._operations:
            execute(operation, stream, keep)

    def upload(self, stream: "Stream | None" = None) -> None:
        """Do nothing: there is nowhere to upload to."""


Graph.__module__ = "cupy.cuda.graph"


class Event:
    """As `cupy.cuda.Event`."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        if interprocess:
            raise ValueError("the stand-in has no interprocess events")
        self._has_time = not disable_timing
        self._time: float | None = None
        self._capture: Capture | None = None
        self._clock: Clock = {}

    def record(self, stream: "Stream | None" = None) -> None:
        (stream or get_current_stream()).record(self)

    def synchronize(self) -> None:
        if self._capture is not None:
            raise CUDARuntimeError(907)
        refuse_during_capture("Event.synchronize")

    @property
    def done(self) -> bool:
        self.synchronize()
        return True


Event.__module__ = "cupy.cuda.stream"


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    for event in (start_event, end_event):
        if event._capture is not None:
            raise CUDARuntimeError(907)
        if event._time is None or not event._has_time:
            raise CUDARuntimeError(400, "the event was not recorded, or has no timing")
    return 1000 * (end_event._time - start_event._time)


class Stream:
    """As `cupy.cuda.Stream`."""

    null: "Stream"

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        if ptds:
            raise ValueError("the stand-in has no per-thread default streams")
        self.ptr = NULL_STREAM if null else next(_pointers)
        self.device_id = -1 if null else session.thread.device
        self.is_non_blocking = non_blocking
        self._capture: Capture | None = None
        self._clock: Clock = {}
        self._before: list[Stream | None] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __repr__(self) -> str:
        return f"<Stream {self.ptr} (device {self.device_id})>"

    def __enter__(self) -> "Stream":
        before = session.thread.streams[session.thread.device]
        self.use()
        self._before.append(before)
        return self

    def __exit__(self, *error: object) -> None:
        session.thread.streams[self._device()] = self._before.pop()

    def use(self) -> "Stream":
        if self._device() != session.thread.device:
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id}) does not match with the "
                f"current device ({session.thread.device})"
            )
        session.thread.streams[self._device()] = self
        return self

    def _device(self) -> int:
        return session.thread.device if self.device_id == -1 else self.device_id

    @property
    def done(self) -> bool:
        self.synchronize()
        return True

    def synchronize(self) -> None:
        if self._capture is not None:
            _fail(self._capture, "Stream.synchronize")
        _check_legacy(self)

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event._time = time.perf_counter()
        event._capture = self._capture
        event._clock = dict(self._clock)
        return event

    def wait_event(self, event: Event) -> None:
        mine, other = self._capture, event._capture
        if other is None:
            if mine is not None and event._time is not None:
                mine.is_valid = False
                raise CUDARuntimeError(905)
            return
        if other.origin._capture is not other:  # that capture is over
            raise CUDARuntimeError(907)
        if mine is None:
            _check_may_capture(self)
            self._capture, self._clock = other, {}
            other.streams.append(self)
        elif mine is not other:
            mine.is_valid = other.is_valid = False
            raise CUDARuntimeError(902)
        for stream, count in event._clock.items():
            self._clock[stream] = max(count, self._clock.get(stream, 0))

    def begin_capture(self, mode: int | None = None) -> None:
        _check_may_capture(self)
        if self._capture is not None:
            raise CUDARuntimeError(900, "begin_capture twice")
        self._capture, self._clock = Capture(self), {}
        session.capturing.append(self)

    def end_capture(self) -> Graph:
        capture = self._capture
        if capture is None:
            raise CUDARuntimeError(1, "end_capture without begin_capture")
        if capture.origin is not self:
            raise CUDARuntimeError(903)
        session.capturing.remove(self)
        known = self._clock
        unjoined = [s for s in capture.streams if s._clock.get(s.ptr, 0) > known.get(s.ptr, 0)]
        for stream in capture.streams:
            stream._capture, stream._clock = None, {}
        if not capture.is_valid:
            raise CUDARuntimeError(901)
        if unjoined:
            raise CUDARuntimeError(904, f"not waited for: {unjoined}")
        return Graph._of(capture.operations)

    def is_capturing(self) -> bool:
        if self._capture is not None and not self._capture.is_valid:
            raise RuntimeError("the stream was capturing, but an error has invalidated the capture sequence")
        return self._capture is not None


Stream.__module__ = "cupy.cuda.stream"
Stream.null = Stream(null=True)


def _check_may_capture(stream: Stream) -> None:
    if stream.ptr == NULL_STREAM:
        raise RuntimeError("cannot capture on the default (legacy) stream")


def get_current_stream(device_id: int = -1) -> Stream:
    device = session.thread.device if device_id == -1 else device_id
    return session.thread.streams[device] or Stream.null


# ---- what everything goes through ----


def execute(operation: Callable[[], None], stream: Stream | None = None, keep: Any = None) -> None:
    """Run an operation that writes to existing arrays; or record it, with what has to stay alive for it."""
    capture = current_capture(stream)
    if capture is None:
        with np.errstate(all="ignore"):
            operation()
    else:
        record(capture, operation, keep, stream)


def record(
    capture: Capture, operation: Callable[[], None], keep: Any = None, stream: Stream | None = None
) -> None:
    """Add an operation to a graph, which keeps the memory that it touches; not the arrays."""
    capture.operations.append((operation, list(_blocks(keep))))
    stream = stream or get_current_stream()
    stream._clock[stream.ptr] = stream._clock.get(stream.ptr, 0) + 1


def record_memory(operation: Callable[[], None], block: Any) -> bool:
    """Add to a graph, if one is being recorded, what becomes of a block of memory. This is no work."""
    stream = get_current_stream()
    if stream._capture is None:
        return False
    stream._capture.operations.append((operation, [block]))
    return True


def is_capturing() -> bool:
    """Tell whether the current stream captures, without asking whether it may go on."""
    return get_current_stream()._capture is not None


def _blocks(keep: Any) -> Iterator[Any]:
    """Yield the memory behind arrays, pointers and allocations."""
    if isinstance(keep, (tuple, list)):
        for part in keep:
            yield from _blocks(part)
    elif isinstance(keep, Block):
        yield keep
    elif isinstance(keep, MemoryPointer):
        yield keep.mem.block
    elif isinstance(keep, Allocation):
        yield keep.block
    elif isinstance(getattr(keep, "_memory", None), Allocation):  # an ndarray
        yield keep._memory.block


def current_capture(stream: Stream | None = None) -> Capture | None:
    """Return the capture that the stream (else the current one) takes part in."""
    if stream is None:
        thread = session.thread
        stream = thread.streams[thread.device]
        if stream is None:
            if session.capturing:
                _check_legacy(Stream.null)
            return None
    capture = stream._capture
    if capture is None:
        _check_legacy(stream)
    elif not capture.is_valid:
        raise CUDARuntimeError(901)
    return capture


def _check_legacy(stream: Stream) -> None:
    """Refuse work on the null stream, which would wait for blocking streams that capture."""
    if stream.ptr == NULL_STREAM:
        for capturing in session.capturing:
            if not capturing.is_non_blocking:
                capturing._capture.is_valid = False
                raise CUDARuntimeError(906)


def refuse_during_capture(what: str) -> None:
    """Raise if the current stream captures: `what` needs values on the host, or waits for them."""
    capture = current_capture()
    if capture is not None:
        _fail(capture, what)


def refuse_if_anything_captures(what: str) -> None:
    """Raise if any stream captures: `what` waits for all of them."""
    for stream in session.capturing:
        _fail(stream._capture, what)


def _fail(capture: Capture, what: str) -> None:
    capture.is_valid = False
    raise CUDARuntimeError(900, what)
