"""Live arrays, counted exactly: every block of memory once, from its op to the moment it is let go.

An array is followed by a weak reference to the array that owns its memory, which calls back when that is
freed. So views count nothing of their own, and what the operating system says about the process, with the
interpreter and all libraries in it, does not matter.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from minicnn.backend import Array, is_array

Kind = Literal["activations", "gradients"]


class Level(NamedTuple):
    """Bytes that were alive from a moment on."""

    time: int
    activations: int
    gradients: int


class LiveArrays:
    """Counts the bytes of live arrays that ops have made.

    Parameters
    ----------
    now : callable
        The clock, in nanoseconds.
    levels : list of Level
        Gets one for each change.
    """

    def __init__(self, now: Callable[[], int], levels: list[Level]) -> None:
        self._now = now
        self._owners: dict[int, weakref.ref[Any]] = {}  # by id: arrays cannot be keys
        self._bytes: dict[Kind, int] = {"activations": 0, "gradients": 0}
        self._levels = levels

    def ignore(self, arrays: Iterable[Array]) -> None:
        """Never count these, if they are not counted yet: no op has made them (weights, images)."""
        for owner in self._unknown(arrays):
            self._follow(owner)

    def count(self, kind: Kind, arrays: Iterable[object]) -> int:
        """Count from now on what is new among `arrays` (other objects are passed over); return its bytes."""
        new = 0
        for owner in self._unknown(arrays):
            self._follow(owner, kind)
            new += owner.nbytes
        if new:
            self._change(kind, new)
        return new

    def stop(self) -> None:
        """Follow no array any more."""
        self._owners.clear()

    def _unknown(self, arrays: Iterable[object]) -> Iterator[Array]:
        for array in arrays:
            if is_array(array) and id(owner := owner_of(array)) not in self._owners:
                yield owner

    def _follow(self, owner: Array, kind: Kind | None = None) -> None:
        key, size = id(owner), owner.nbytes

        def is_gone(_: object) -> None:
            del self._owners[key]
            if kind is not None and size:
                self._change(kind, -size)

        self._owners[key] = weakref.ref(owner, is_gone)

    def _change(self, kind: Kind, size: int) -> None:
        self._bytes[kind] += size
        self._levels.append(Level(self._now(), **self._bytes))


def owner_of(array: Array) -> Array:
    """Return the array whose memory `array` looks at: itself, unless it is a view.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((2, 3))
    >>> owner_of(x[0, 1:]) is x
    True
    """
    while is_array(array.base):
        array = array.base
    return array
