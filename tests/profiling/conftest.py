"""A clock that stands still unless somebody moves it, and ops that do."""

from types import SimpleNamespace

import pytest

from minicnn import Function


class Clock:
    """Time in nanoseconds; goes on by `tick` with every look at it."""

    def __init__(self) -> None:
        self.time = 1_000_000
        self.tick = 0

    def __call__(self) -> int:
        self.time += self.tick
        return self.time


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("minicnn.profiling.recorder.time", SimpleNamespace(perf_counter_ns=clock))
    return clock


@pytest.fixture
def slow(clock):
    """Give a function that applies an op which takes as long as it is told, forward and backward."""

    class Slow(Function):
        name = "slow"

        def __init__(self, forward: int, backward: int, inside=None) -> None:
            self.durations = forward, backward
            self.inside = inside

        def forward(self, x):
            clock.time += self.durations[0]
            if self.inside:
                self.inside()
            return x * 2

        def backward(self, gy):
            clock.time += self.durations[1]
            return (gy * 2,)

    def apply(x, forward, backward, inside=None, name="slow"):
        return type(name, (Slow,), {"name": name})(forward, backward, inside).apply(x)

    return apply
