"""Stochastic gradient descent with momentum, in the form PyTorch made common.

For a parameter w with gradient g, learning rate lr, momentum m and weight decay d:

    d_t = g + d * w                     the gradient of loss + d/2 * |w|^2
    v_t = m * v_{t-1} + d_t             v_0 = 0
    w  -= lr * v_t                      plain momentum
    w  -= lr * (d_t + m * v_t)          Nesterov: a look ahead along the new velocity

Caffe and the original papers put the rate inside (v = m * v - lr * g; w += v). The two agree while lr
stays the same; when it drops, this form slows down at once, the other one only as old velocity fades.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.backend import Array, array_module, device_of, to_device, to_numpy
from minicnn.cuda.graph import is_recording
from minicnn.cuda.switch import uses_kernels
from minicnn.cuda.table import ArrayRow, ArrayTable
from minicnn.errors import CheckpointError, UsageError
from minicnn.optim.groups import make_groups
from minicnn.parallel import batch_tiles, on_device_of, run_tiles, scratch
from minicnn.tensor import Tensor

if TYPE_CHECKING:
    from minicnn.nn import Parameter


class SGD:
    """Stochastic gradient descent with momentum, Nesterov's variant and weight decay.

    Parameters
    ----------
    parameters_or_groups : iterable of Parameter, or of dict
        What to train. A dict is a group: ``{"params": [...], "lr": 0.01, "weight_decay": 0.0}``, where
        `lr` and `weight_decay` may be left out and are then those of the optimizer.
    lr : float
        Learning rate, above 0.
    momentum : float, default=0.9
        Share of the velocity that survives a step, at least 0 and below 1.
    weight_decay : float, default=0.0
        Strength of the pull towards zero; added to the gradient before momentum.
    nesterov : bool, default=False
        Look ahead along the new velocity; needs momentum.

    Attributes
    ----------
    groups : list of ParameterGroup
        Their `lr` and `weight_decay` may be changed between steps.
    lr_factor : float
        What a schedule sets: every group's rate is multiplied by it. Starts at 1.

    Raises
    ------
    UsageError
        For numbers out of range, an empty list or a parameter given twice.

    References
    ----------
    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import nn, optim
    >>> w = nn.Parameter(np.array([1.0, 2.0]))
    >>> sgd = optim.SGD([w], lr=0.1, momentum=0.9)
    >>> w.grad = np.array([1.0, 0.0])
    >>> sgd.step()
    >>> w.data
    array([0.9, 2. ])
    """

    def __init__(
        self,
        parameters_or_groups: Iterable[Parameter] | Iterable[Mapping[str, Any]],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if not 0.0 <= momentum < 1.0:
            raise UsageError(f"SGD: momentum must be at least 0 and below 1, got {momentum}")
        if nesterov and momentum == 0.0:
            raise UsageError(
                "SGD: nesterov looks ahead along the velocity and needs a momentum above 0, got 0"
            )
        self.momentum = momentum
        self.nesterov = nesterov
        self.lr_factor = 1.0
        lone = isinstance(parameters_or_groups, Tensor)  # iterating over it would give its rows
        given = [parameters_or_groups] if lone else list(parameters_or_groups)
        self.groups = make_groups(given, lr, weight_decay)
        self.parameters: list[Parameter] = [p for group in self.groups for p in group.params]
        self._group_of = [group for group in self.groups for _ in group.params]
        if not self.parameters:
            raise UsageError("SGD: expected at least one parameter to train, got none")
        if len({id(p) for p in self.parameters}) != len(self.parameters):
            raise UsageError("SGD: a parameter was given twice; it would be moved twice in every step")
        self._velocity: dict[int, Array] = {}  # by place in self.parameters, from its first gradient on
        self._on_gpu = _MovesOnGPU(self)

    def step(self, loss: Tensor | None = None) -> None:
        """Move every parameter that has a gradient, in place; the others are left alone.

        Parameters
        ----------
        loss : Tensor of shape (), optional
            If it is given and not finite, nothing moves: the weights that gave it can still be looked at.
        """
        places = [place for place, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for place in places:
            w = self.parameters[place].data
            with on_device_of(w):
                if place not in self._velocity:
                    self._velocity[place] = array_module(w).zeros_like(w)
                elif device_of(self._velocity[place]) != device_of(w):  # the weights have moved since
                    self._velocity[place] = to_device(self._velocity[place], device_of(w))
        weights = [self.parameters[place].data for place in places]
        if all(map(uses_kernels, weights)) and len({(w.dtype, device_of(w)) for w in weights}) == 1:
            with on_device_of(weights[0]):
                self._on_gpu.step(places, loss)
        elif loss is None or math.isfinite(loss.item()):
            moves = [move for place in places for move in self._moves(place, *self.rates(place))]
            run_tiles(lambda index, tile: moves[index](), [slice(i, i + 1) for i in range(len(moves))])

    def send_rates(self) -> None:
        """Tell the GPU of changed rates: once before each replay of a recorded step (see `cuda.graph`)."""
        self._on_gpu.send_rates()

    def addresses(self) -> list[int]:
        """Where a step on a GPU finds velocities and rates: if this changes, it has to be recorded anew."""
        velocities = [v.data.ptr for v in self._velocity.values()]
        return velocities if self._on_gpu.rates is None else [*velocities, self._on_gpu.rates.data.ptr]

    def rates(self, place: int) -> tuple[float, float]:
        """Return learning rate and weight decay of a parameter, by its place."""
        group = self._group_of[place]
        return group.lr * self.lr_factor, group.weight_decay

    def last_move(self, place: int) -> float:
        """Return how far the last step moved a parameter, by its place: the norm of rate times velocity.

        0 for a parameter that never had a gradient. Nesterov's variant looks a little further ahead.
        """
        velocity = self._velocity.get(place)
        if velocity is None:
            return 0.0
        # In float64: squares of small float32 numbers are too small for float32.
        return self.rates(place)[0] * float(np.linalg.norm(to_numpy(velocity).astype(np.float64).ravel()))

    def _moves(self, place: int, lr: float, weight_decay: float) -> list[Callable[[], None]]:
        """Cut the move of a parameter into pieces that stay in the cache."""
        w, g, v = self.arrays(place)
        if not all(array.flags.c_contiguous for array in (w, g, v)):
            return [partial(self._move, w, g, v, lr, weight_decay)]
        w, g, v = w.reshape(-1), g.reshape(-1), v.reshape(-1)
        pieces = batch_tiles(w.size, 8 * w.itemsize, w)
        return [partial(self._move, w[piece], g[piece], v[piece], lr, weight_decay) for piece in pieces]

    def _move(self, w: Array, g: Array, v: Array, lr: float, weight_decay: float) -> None:
        buffer = scratch("optim", w.shape, w)
        xp = array_module(w)
        # The gradient array may be somebody else's, so the decayed gradient is built in the buffer.
        xp.multiply(w, weight_decay, out=buffer)
        buffer += g
        v *= self.momentum
        v += buffer
        if self.nesterov:
            buffer *= lr
            w -= buffer
            lr *= self.momentum
        xp.multiply(v, lr, out=buffer)
        w -= buffer

    def arrays(self, place: int) -> ArrayRow:
        """Return weights, gradient and velocity of a parameter that has a gradient, by its place."""
        parameter = self.parameters[place]
        return parameter.data, parameter.grad, self._velocity[place]

    def zero_grad(self) -> None:
        """Forget all gradients: sets every parameter's `grad` to None."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later: copies of the velocities (on the CPU), and the settings.

        Returns
        -------
        dict
            ``velocity`` maps the place of a parameter (in the order given to the constructor) to an array;
            parameters that have not had a gradient yet have none. ``groups`` lists lr and weight_decay.
        """
        return {
            "velocity": {place: np.array(to_numpy(v)) for place, v in self._velocity.items()},
            "groups": [{"lr": group.lr, "weight_decay": group.weight_decay} for group in self.groups],
            "lr_factor": self.lr_factor,
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave; arrays are copied.

        Raises
        ------
        CheckpointError
            When the state belongs to other parameters or other groups.
        """
        count, groups = len(self.parameters), len(self.groups)
        if len(state["groups"]) != groups:
            raise CheckpointError(f"SGD: expected the state of {groups} groups, got {len(state['groups'])}")
        for place, v in state["velocity"].items():
            if place >= count:
                raise CheckpointError(f"SGD: expected the state of {count} parameters, got number {place}")
            if v.shape != self.parameters[place].shape:
                raise CheckpointError(
                    f"SGD: the velocity of parameter {place} has shape {v.shape}, "
                    f"the parameter {self.parameters[place].shape}"
                )
        self._velocity = {}
        for place, v in state["velocity"].items():
            like = self.parameters[place].data
            self._velocity[place] = to_device(np.array(to_numpy(v), dtype=like.dtype), device_of(like))
        for group, settings in zip(self.groups, state["groups"], strict=True):
            group.lr, group.weight_decay = settings["lr"], settings["weight_decay"]
        self.lr_factor = state["lr_factor"]
        self.momentum = state["momentum"]
        self.nesterov = state["nesterov"]


class _MovesOnGPU:
    """The step of an optimizer whose parameters are on a GPU: one launch for all of them."""

    def __init__(self, optimizer: SGD) -> None:
        self.optimizer = optimizer
        self.table = ArrayTable()
        self.places: list[int] = []
        self.rates: Array = None  # (parameters, 3): lr, lr * momentum, weight decay

    def step(self, places: list[int], loss: Tensor | None) -> None:
        rows = [self._contiguous(place) for place in places]
        w = rows[0][0]
        if self.places != places or self.rates.dtype != w.dtype:
            self.places, self.rates = places, array_module(w).empty((len(places), 3), w.dtype)
        if not is_recording():
            self.send_rates()
        momentum, nesterov = w.dtype.type(self.optimizer.momentum), int(self.optimizer.nesterov)
        guard = None if loss is None else loss.data
        self.table.launch("sgd_step", rows, self.rates, guard, momentum, nesterov)

    def send_rates(self) -> None:
        rates = [self.optimizer.rates(place) for place in self.places]
        rows = [(lr, lr * self.optimizer.momentum, weight_decay) for lr, weight_decay in rates]
        self.rates.set(np.array(rows, self.rates.dtype))

    def _contiguous(self, place: int) -> ArrayRow:
        parameter = self.optimizer.parameters[place]
        w, g, v = self.optimizer.arrays(place)
        xp = array_module(w)
        if not w.flags.c_contiguous:  # from now on it is
            w = parameter.data = xp.ascontiguousarray(w)
        if not v.flags.c_contiguous:
            v = self.optimizer._velocity[place] = xp.ascontiguousarray(v)
        return w, xp.ascontiguousarray(g), v
