"""A training step as a CUDA graph: recorded once, then replayed by a single call.

A step of GoogLeNet starts many hundred kernels, most of which take a few millionths of a second: less than
Python needs to start them. So the step is run while the GPU only takes notes, and what was noted is replayed
from then on.

What is replayed are kernels with their arguments, addresses of arrays among them. Hence the rules:

- Arrays stay where they are. The step is recorded with a memory pool of its own, from which nobody else is
  served, and what changes from step to step is copied into the same arrays before each replay. If arrays that
  the step reads have been replaced all the same, or settings were changed, it is recorded anew.
- Nothing waits for the GPU or reads from it while it takes notes. What the step needs of the host's numbers
  (addresses of arrays, for one) is sent when the recording is over: `upload`.
- Shapes stay the same. A batch of another size is run without the graph.

A function that cannot be recorded is refused once, with a RecordingError, and run as it is from then on.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.errors import DeviceError, DeviceMemoryError

BLOCK = 512  # bytes, of which CuPy makes its blocks
WARM_UPS = 2  # runs before the recording: kernels are compiled, optimizers make their arrays


class RecordingError(DeviceError):
    """A function reads from the GPU, waits for it, or uses something that cannot be recorded as a graph."""


class _ThreadState(threading.local):
    uploads: list[tuple[Array, np.ndarray]] | None = None  # a list while this thread records a graph

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.streams: dict[int, Any] = {}  # by device


_state = _ThreadState()


def is_recording() -> bool:
    """Tell whether this thread is recording a graph: then nothing may be read from the GPU."""
    return _state.uploads is not None


def upload(values: np.ndarray) -> Array:
    """Return a copy of `values` on the GPU; while a graph is recorded, filled when the recording is over."""
    cupy = sys.modules["cupy"]
    if _state.uploads is None:
        return cupy.asarray(values)
    # Not in the graph's own memory, where an array that was gone by now may have been: each replay would
    # write that one again, and over these.
    with cupy.cuda.using_allocator(cupy.get_default_memory_pool().malloc):
        target = cupy.empty(values.shape, values.dtype)
    _state.uploads.append((target, values))
    return target


def keep(arrays: object) -> None:
    """Keep arrays as long as the graph that is being recorded: their addresses alone do not."""
    if _state.uploads is not None:
        _state.kept.append(arrays)


def _recording_stream() -> Any:
    """Return the stream of this thread and device for recording, where no other work gets in between.

    There is one for all functions: with each stream cuBLAS keeps a workspace.
    """
    cupy = sys.modules["cupy"]
    device = cupy.cuda.runtime.getDevice()
    if device not in _state.streams:
        _state.streams[device] = cupy.cuda.Stream(non_blocking=True)
    return _state.streams[device]


class RecordedFunction:
    """A function of arrays on a GPU that is recorded at its third call and replayed from then on.

    Parameters
    ----------
    function : callable
        Called with arrays by keyword; returns a tuple of arrays. What it changes (weights, velocities) it
        changes in place. It takes no decision by the values of arrays.
    before_replay : callable
        Does what `function` would have done on the host, with numbers that differ from call to call.
    what_it_reads : callable, optional
        Returns a tuple of all that `function` depends on besides its inputs: addresses of arrays, settings.
        If it is not what it was when the function was recorded, the function is recorded anew.
    """

    def __init__(
        self,
        function: Callable[..., tuple[Array, ...]],
        before_replay: Callable[[], None],
        what_it_reads: Callable[[], tuple[object, ...]] = tuple,
    ) -> None:
        cupy = sys.modules["cupy"]
        self.function = function
        self.before_replay = before_replay
        self.what_it_reads = what_it_reads
        self.stream = _recording_stream()
        self.pool = cupy.cuda.MemoryPool()
        self.calls = 0
        self.can_be_recorded = True  # until it has failed
        self._inputs: dict[str, Array] = {}
        self._outputs: tuple[Array, ...] = ()
        self._graph: Any = None
        self._read: tuple[object, ...] = ()  # what the graph was recorded with
        self._kept: list[object] = []  # what the graph reads and nobody else may hold

    def __call__(self, **inputs: Array) -> tuple[Array, ...]:
        """Run the function, or replay it if it was recorded for inputs of these shapes and dtypes.

        The arrays returned by a replay are overwritten by the next one.

        Raises
        ------
        RecordingError
            Once, if the function cannot be recorded. Nothing has run then; further calls run it op by op.
        """
        cupy = sys.modules["cupy"]
        before = cupy.cuda.get_current_stream()
        self.stream.wait_event(before.record())  # the inputs may still be on their way
        with self.stream:
            outputs = self._run(inputs)
        before.wait_event(self.stream.record())
        return outputs

    def _run(self, inputs: dict[str, Array]) -> tuple[Array, ...]:
        cupy = sys.modules["cupy"]
        if not self._inputs:
            self._inputs = {name: cupy.empty(value.shape, value.dtype) for name, value in inputs.items()}
        if _kinds(inputs) != _kinds(self._inputs):
            return self.function(**{name: cupy.asarray(value) for name, value in inputs.items()})
        for name, value in inputs.items():
            if array_module(value) is np:
                self._inputs[name].set(value)
            else:
                self._inputs[name][...] = value
        if self._graph is not None and self._read != self.what_it_reads():
            self._graph, self._kept, self.calls = None, [], 0
        self.calls += 1
        if self.calls <= WARM_UPS or not self.can_be_recorded:
            with cupy.cuda.using_allocator(self.pool.malloc):
                return self.function(**self._inputs)
        if self._graph is None:
            self._record()
        self.before_replay()
        self._graph.launch()
        return self._outputs

    def _record(self) -> None:
        cupy = sys.modules["cupy"]
        uploads: list[tuple[Array, np.ndarray]] = []
        _state.uploads, _state.kept = uploads, []
        try:
            with cupy.cuda.using_allocator(self._allocate_for_graph()):
                graph, outputs = self._capture()
            self._kept = [*_state.kept, *uploads]
        finally:
            _state.uploads, _state.kept = None, []
            for target, values in uploads:  # of a failed recording too: they count as sent
                target.set(values)
        self._graph, self._outputs, self._read = graph, outputs, self.what_it_reads()

    def _capture(self) -> tuple[Any, tuple[Array, ...]]:
        self.stream.begin_capture()
        try:
            outputs = self.function(**self._inputs)
        except BaseException as error:  # Ctrl-C too must end the recording
            is_spoilt = False
            try:
                self.stream.end_capture()
            except Exception:  # noqa: BLE001 - what spoilt the recording is what matters
                is_spoilt = True
            if not isinstance(error, Exception) or isinstance(error, (MemoryError, DeviceMemoryError)):
                raise
            # Not all that CuPy refuses spoils the recording, and some of it is a NotImplementedError or a
            # RuntimeError like any other. If the error is not about recording, running op by op shows it.
            if not (is_spoilt or _tells_of_capture(error)):
                raise
            self.can_be_recorded = False
            raise RecordingError(_in_words(error)) from error
        try:
            return self.stream.end_capture(), outputs
        except Exception as error:  # somebody has kept to himself what went wrong
            self.can_be_recorded = False
            raise RecordingError(_in_words(error)) from error

    def _allocate_for_graph(self) -> Callable[[int], Any]:
        """Return an allocator that gives up where CuPy would make room by giving memory back to the system.

        The graph that is being recorded already refers to that memory.
        """
        held = self.pool.total_bytes()

        def allocate(size: int) -> Any:
            nonlocal held
            memory = self.pool.malloc(size)
            # Either a free block is used again, or there is one more. Anything else: blocks were given back.
            if self.pool.total_bytes() not in (held, held + -(-size // BLOCK) * BLOCK):
                raise MemoryError(f"allocating {size:,} bytes while recording a graph")
            held = self.pool.total_bytes()
            return memory

        return allocate


def _kinds(arrays: dict[str, Array]) -> dict[str, object]:
    return {name: (tuple(array.shape), array.dtype) for name, array in arrays.items()}


def _tells_of_capture(error: BaseException | None) -> bool:
    """Tell whether an error, or one that led to it, is about stream capture, by CuPy's and CUDA's words."""
    while error is not None:
        if "captur" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
