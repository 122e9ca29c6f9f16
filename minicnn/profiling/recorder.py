"""The observer behind `minicnn.profile`, which notes what begins when, and what ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from minicnn import tensor
from minicnn.backend import Array
from minicnn.cost import Shape, multiplications
from minicnn.errors import DeviceError
from minicnn.parallel import TileFunction, get_num_threads, wrapped_tiles
from minicnn.profiling.memory import LiveArrays
from minicnn.profiling.record import Record
from minicnn.profiling.spans import Phase, Span, TileSpan
from minicnn.tensor import Function, Observer, Tensor, observed_by

FLOPS_PER_MULTIPLICATION = 2  # the product, and its addition to the sum


@contextmanager
def profile(composed: bool = False) -> Iterator[Record]:
    """Measure the time and memory of every op that this thread runs inside the block.

    Parameters
    ----------
    composed : bool, default=False
        Run every op of the network's diagram by itself, so that each is a row of its own. By default
        what training really runs is measured: fused ops.

    Yields
    ------
    Record
        To be looked at after the block.

    Raises
    ------
    DeviceError
        If an op runs on a GPU: it would return before it is done.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import nn
    >>> layer = nn.Conv2d(3, 8, 3, padding=1, activation="relu")
    >>> with profile(composed=True) as record:
    ...     y = layer(Tensor(np.ones((2, 4, 4, 3), np.float32)))
    >>> [(row.name, row.calls, row.forward_flops, row.kept_bytes) for row in record.rows()]
    [('conv2d', 1, 13824, 1024), ('relu', 1, 0, 1024)]
    """
    record = Record(get_num_threads())
    recorder = _Recorder(record, time.perf_counter_ns)
    with (
        tensor.composed() if composed else nullcontext(),
        observed_by(recorder),
        wrapped_tiles(recorder.timed_tiles),
    ):
        recorder.begin()
        try:
            yield record
        finally:
            recorder.end()


class _Open:
    """A span that has not ended yet."""

    def __init__(self, phase: Phase, what: object, name: str, start: int) -> None:
        self.key = (phase, what)
        self.name = name
        self.start = start
        self.inner = 0  # duration of the spans inside it that have ended


class _Recorder(Observer):
    """Fills a record. It keeps no arrays alive."""

    def __init__(self, record: Record, now: Callable[[], int]) -> None:
        self.record = record
        self.now = now
        self.memory = LiveArrays(now, record.levels)
        self.open: list[_Open] = []  # outermost first
        self.leaves: set[Tensor] = set()  # whose gradients the walk adds up

    def begin(self) -> None:
        self.record.start = self.now()

    def end(self) -> None:
        self.record.end = self.now()
        self.memory.stop()

    # ---- what the engine tells ----

    def enter_module(self, path: str) -> None:
        self._begin("module", path, path)

    def leave_module(self, path: str) -> None:
        self._end("module", path, self.now())

    def before_forward(self, function: Function, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].device != "cpu":
            raise DeviceError(
                f"profile: expected ops on the CPU, got {function.name} on {inputs[0].device}: "
                "there an op returns before it is done, and its time would be wrong"
            )
        self.memory.ignore(t.data for t in inputs)
        self._begin("forward", function, function.name)

    def after_forward(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        end = self.now()
        new = self.memory.count("activations", (output.data, *function.saved))
        flops = FLOPS_PER_MULTIPLICATION * _products(function, inputs, output.shape)
        kept = new if function.is_recorded else 0
        facts = _facts(function, inputs, output.shape)
        self._end("forward", function, end, **facts, flops=flops, kept_bytes=kept)

    def before_walk(self) -> None:
        self._begin("walk", None, "backward")

    def after_walk(self) -> None:
        end = self.now()
        self.memory.count("gradients", [leaf.grad for leaf in self.leaves])
        self.leaves.clear()
        self._end("walk", None, end)

    def before_backward(self, function: Function, gy: Array) -> None:
        self.memory.count("gradients", [gy])  # the seed, or a sum that the walk made
        self._begin("backward", function, function.name)

    def after_backward(self, function: Function, gy: Array, gradients: tuple[Array | None, ...]) -> None:
        end = self.now()
        self.memory.count("gradients", gradients)
        self.leaves.update(t for t in function.inputs if t.creator is None and t.requires_grad)
        # Every product of the forward pass has two factors; the gradient of each takes one product.
        # An inception module makes all of them, wanted or not.
        wanted = 2 if function.name == "inception" else sum(function.needs_gradient[:2])
        flops = FLOPS_PER_MULTIPLICATION * _products(function, function.inputs, gy.shape) * wanted
        self._end("backward", function, end, **_facts(function, function.inputs, gy.shape), flops=flops)

    def timed_tiles(self, function: TileFunction) -> TileFunction:
        """Let each tile note its time; called by `run_tiles`, on the thread that is being profiled."""
        name = self.open[-1].name if self.open else "tiles"

        def timed(index: int, tile: slice) -> None:
            start = self.now()
            function(index, tile)
            self.record.tiles.append(TileSpan(threading.get_ident(), name, index, start, self.now()))

        return timed

    # ---- spans inside spans ----

    def _begin(self, phase: Phase, what: object, name: str) -> None:
        self.open.append(_Open(phase, what, name, self.now()))

    def _end(self, phase: Phase, what: object, end: int, **facts: Any) -> None:
        """Finish the innermost open span of this kind; what is still open inside it has failed."""
        if all(span.key != (phase, what) for span in self.open):
            return  # it began before the block
        while (span := self.open.pop()).key != (phase, what):
            pass
        duration = end - span.start
        if self.open:
            self.open[-1].inner += duration
        self.record.spans.append(Span(phase, span.name, span.start, end, duration - span.inner, **facts))


def _products(function: Function, inputs: tuple[Tensor, ...], output: Shape) -> int:
    return multiplications(function.name, [t.shape for t in inputs], output)


def _facts(function: Function, inputs: tuple[Tensor, ...], output: Shape) -> dict[str, Any]:
    return {
        "layer": function.module_path,
        "inputs": tuple(t.shape for t in inputs),
        "output": output,
        "dtype": inputs[0].dtype,
    }
