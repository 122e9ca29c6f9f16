"""Averaging of the weights along the way (Polyak), which the GoogLeNet paper uses for its final model.

With t counting the updates and W the window,

    a_t = a_{t-1} + (w_t - a_{t-1}) / min(t, W)

This is the plain mean of all weights so far while t <= W, and from then on an exponential mean that
forgets with time constant W. The plain mean of the whole run (Polyak and Juditsky's) would never get rid
of the useless weights of the first epochs.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.backend import Array, array_module, device_of, to_device, to_numpy
from minicnn.cuda.graph import is_recording
from minicnn.cuda.switch import uses_kernels
from minicnn.cuda.table import ArrayTable
from minicnn.errors import CheckpointError, UsageError
from minicnn.parallel import on_device_of, scratch
from minicnn.tensor import Tensor

if TYPE_CHECKING:
    from minicnn.nn import Parameter


class PolyakAverage:
    """Running average of parameters.

    Parameters
    ----------
    parameters : iterable of Parameter
        What to average; their values now count as the start.
    window : int
        W of the formula above, in updates, at least 1.

    References
    ----------
    Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging".

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import nn, optim
    >>> w = nn.Parameter(np.array([0.0]))
    >>> average = optim.PolyakAverage([w], window=10)
    >>> for value in (1.0, 2.0, 6.0):
    ...     w.data[...] = value
    ...     average.update()
    >>> with average.applied():
    ...     print(w.data)
    [3.]
    >>> w.data
    array([6.])
    """

    def __init__(self, parameters: Iterable[Parameter], window: int) -> None:
        if window < 1:
            raise UsageError(f"PolyakAverage: window must be at least 1 update, got {window}")
        self.parameters = list(parameters)
        self.window = window
        self.updates = 0
        self.averages = []
        for p in self.parameters:
            with on_device_of(p.data):
                self.averages.append(p.data.copy())
        self._table = ArrayTable()
        self._share: Array = None  # on a GPU

    def update(self, loss: Tensor | None = None) -> None:
        """Take the parameters' present values into the average; call it after every step.

        Parameters
        ----------
        loss : Tensor of shape (), optional
            If it is given and not finite, the average stays as it is.
        """
        if not is_recording():
            self.count_update()
        if all(uses_kernels(p.data) for p in self.parameters):
            with on_device_of(self.averages[0]):
                xp = array_module(self.averages[0])
                values = [xp.ascontiguousarray(p.data) for p in self.parameters]
                rows = list(zip(values, self.averages, self.averages, strict=True))
                self._table.launch("move_average", rows, self._share, None if loss is None else loss.data)
        elif loss is None or math.isfinite(loss.item()):
            for parameter, average in zip(self.parameters, self.averages, strict=True):
                change = scratch("optim", average.shape, average)
                array_module(average).subtract(parameter.data, average, out=change)
                change *= self.share
                average += change

    @property
    def share(self) -> float:
        """How far the last update has moved the average towards the parameters."""
        return 1.0 / min(self.updates, self.window)

    def count_update(self) -> None:
        """Do an update's share on the host: once before each replay of a recorded step (`cuda.graph`)."""
        self.updates += 1
        average = self.averages[0]
        if uses_kernels(average):
            with on_device_of(average):
                if self._share is None:
                    self._share = array_module(average).empty((), average.dtype)
                self._share.set(np.array(self.share, average.dtype))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Give the parameters their averages inside a ``with`` block, and their own values back after it."""
        own = [p.data for p in self.parameters]
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            parameter.data = average
        try:
            yield
        finally:
            for parameter, values in zip(self.parameters, own, strict=True):
                parameter.data = values

    def state_dict(self) -> dict[str, Any]:
        """Copies of the averages, in the parameters' order, and the number of updates."""
        return {
            "updates": self.updates,
            "averages": [np.array(to_numpy(average)) for average in self.averages],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave.

        Raises
        ------
        CheckpointError
            When the averages are of other parameters.
        """
        expected = [average.shape for average in self.averages]
        got = [average.shape for average in state["averages"]]
        if expected != got:
            raise CheckpointError(
                f"PolyakAverage: expected averages of {len(expected)} parameters of the model's shapes, "
                f"got {len(got)} of others"
            )
        self.updates = state["updates"]
        for average, values in zip(self.averages, state["averages"], strict=True):
            with on_device_of(average):
                average[...] = to_device(to_numpy(values), device_of(average))
