"""Stopping a run from outside: Ctrl-C, SIGTERM and SIGHUP wait until what has been computed can be kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

# From the keyboard; from who ends processes; from a terminal that is closed, which Windows does not tell.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class TrainingStopped(Exception):
    """A run was asked to stop, and has kept what it had.

    Attributes
    ----------
    number : int
        The signal that asked.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number = number


class StopRequest:
    """Listens to SIGINT, SIGTERM and SIGHUP inside a ``with`` block, in the main thread.

    The first signal is remembered, for `check` to act on; another SIGINT interrupts at once. A signal that
    the process was told to ignore, as by nohup, stays ignored.

    Attributes
    ----------
    number : int or None
        The signal that came.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raise TrainingStopped if a signal came: called where everything can be kept."""
        if self.number is not None:
            raise TrainingStopped(self.number)

    def between(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, and check before each."""
        for item in items:
            self.check()
            yield item

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
