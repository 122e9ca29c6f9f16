"""Prepare what comes next in a background thread, while the consumer works on what it has."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Item(Generic[T]):
    value: T


@dataclass
class _End:
    """Nothing more comes: the source is exhausted, or `error` stopped it."""

    error: BaseException | None


def prefetch(source: Iterator[T], ahead: int = 2) -> Generator[T, None, None]:
    """Yield the items of `source`, which one background thread produces ahead of time.

    The thread starts with the iteration and has ended when the iteration is over: exhausted, closed,
    left early by the consumer, or broken by an exception on either side. An exception of the source
    is raised in the consumer, in the place of the item that could not be made.

    Parameters
    ----------
    source : iterator
        Only the background thread calls it.
    ahead : int, default=2
        How many items may wait; memory for that many is needed on top of the consumer's own.

    Yields
    ------
    item
        The items of the source, in order.

    Examples
    --------
    >>> list(prefetch(iter(range(5))))
    [0, 1, 2, 3, 4]
    """
    places = threading.Semaphore(ahead)
    finished: SimpleQueue[_Item[T] | _End] = SimpleQueue()
    stopped = threading.Event()

    def produce() -> None:
        while True:
            places.acquire()
            if stopped.is_set():
                return
            try:
                item = _Item(next(source))
            except StopIteration:
                finished.put(_End(None))
                return
            except BaseException as error:  # noqa: BLE001 - not handled here: the consumer raises it
                finished.put(_End(error))
                return
            finished.put(item)

    # A daemon, because an iteration that was abandoned half-way must not keep the interpreter from ending.
    thread = threading.Thread(target=produce, name="minicnn-prefetch", daemon=True)
    thread.start()
    try:
        while isinstance(message := finished.get(), _Item):
            places.release()
            yield message.value
        if message.error is not None:
            raise message.error
    finally:
        stopped.set()
        places.release()
        thread.join()
