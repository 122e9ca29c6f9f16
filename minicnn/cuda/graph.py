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
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.errors import DeviceError, MinicnnError

BLOCK = 512  # bytes, of which CuPy makes its blocks
WARM_UPS = 2  # runs before the recording: kernels are compiled, optimizers make their arrays


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
        self._inputs: dict[str, Array] = {}
        self._outputs: tuple[Array, ...] = ()
        self._graph: Any = None
        self._read: tuple[object, ...] = ()  # what the graph was recorded with
        self._kept: list[object] = []  # what the graph reads and nobody else may hold

    def __call__(self, **inputs: Array) -> tuple[Array, ...]:
        """Run the function, or replay it if it was recorded for inputs of these shapes and dtypes.

        The arrays returned by a replay are overwritten by the next one. DeviceError tells of a function that
        cannot be recorded, because it reads from the GPU or uses something that does.
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
        if self.calls <= WARM_UPS:
            with cupy.cuda.using_allocator(self.pool.malloc):
                return self.function(**self._inputs)
        if self._graph is None:
            self._record()
        self.before_replay()
        self._graph.launch()
        return self._outputs

    def _record(self) -> None:
        cupy = sys.modules["cupy"]
        _state.uploads, _state.kept = [], []
        try:
            with cupy.cuda.using_allocator(self._allocate_for_graph()):
                self.stream.begin_capture()
                try:
                    self._outputs = self.function(**self._inputs)
                except BaseException as error:  # Ctrl-C too must end the recording
                    with suppress(Exception):  # the recording is spoilt; what spoilt it is what matters
                        self.stream.end_capture()
                    if not isinstance(error, Exception) or isinstance(error, (MinicnnError, MemoryError)):
                        raise
                    raise DeviceError(
                        f"a function on a GPU cannot be recorded as a graph: {type(error).__name__}: {error}"
                    ) from error
                graph = self.stream.end_capture()
            uploads = _state.uploads
            self._kept = [*_state.kept, *uploads]
        finally:
            _state.uploads, _state.kept = None, []
        for target, values in uploads:
            target.set(values)
        self._graph, self._read = graph, self.what_it_reads()

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
