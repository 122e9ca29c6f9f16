"""Running a network on a batch for which a GPU has no room: in parts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from minicnn.cuda.memory import explained
from minicnn.errors import DeviceMemoryError

T = TypeVar("T")


def say_aside(line: str) -> None:
    """Print a line to standard error, away from the results."""
    sys.stderr.write(f"{line}\n")


class SmallerBatches:
    """Runs a function on a batch; on a GPU that has no room for it, in parts, which it then stays with.

    Images do not see each other in evaluation, so results are the same, but for the rounding of sums.

    Parameters
    ----------
    say : function, optional
        Takes a line that says what did not fit, and what does; printed to standard error by default.

    Attributes
    ----------
    most : int or None
        How many images have turned out to fit; None while everything did.
    """

    def __init__(self, say: Callable[[str], None] = say_aside) -> None:
        self.say = say
        self.most: int | None = None

    def run(self, function: Callable[[slice], T], images: int) -> Iterator[T]:
        """Yield what `function` returns for one part of the batch after the other, all of it if it fits.

        Parameters
        ----------
        function : callable
            Evaluates the images of a slice, recording no graph.
        images : int
            How many there are.

        Raises
        ------
        DeviceMemoryError
            If not even one image fits.
        """
        start = 0
        problem = ""
        while start < images:
            size = min(self.most or images, images - start)
            try:
                result = function(slice(start, start + size))
            except DeviceMemoryError as error:
                problem = problem or f"{error}, when evaluating {size} images at once"
            except MemoryError as error:  # outside of the ops
                if not isinstance(better := explained(error, "evaluating"), DeviceMemoryError):
                    raise
                problem = problem or f"{better}, when evaluating {size} images at once"
            else:
                if problem:
                    self.say(f"{problem}; going on with {size} at once: the same results, but slower")
                    problem = ""
                start += size
                yield result
                continue
            # Out here the error, and with it all that was in memory, is gone.
            if size == 1:
                raise DeviceMemoryError(f"{problem}; not even one image fits")
            self.most = size // 2
