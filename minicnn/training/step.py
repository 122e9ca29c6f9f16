"""One step of training, on the CPU and on a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minicnn import optim
from minicnn.backend import Array, array_module, to_numpy
from minicnn.cuda.graph import RecordedFunction, RecordingError
from minicnn.cuda.products import get_float32_matmul_precision
from minicnn.cuda.random import DeviceGenerator
from minicnn.cuda.switch import kernels_enabled
from minicnn.nn import Dropout, Module, total_loss
from minicnn.parallel import pinned_blas
from minicnn.random import Stream, counter_generator
from minicnn.tensor import Tensor, winograd_enabled
from minicnn.training.culprit import culprit
from minicnn.training.metrics import count_heads
from minicnn.training.nonfinite import guarded
from minicnn.training.state import TrainingState


class StepResult(NamedTuple):
    """What a step has to say.

    Attributes
    ----------
    loss : float
        The total loss.
    moved : bool
        Whether loss and gradients were finite; if not, nothing has moved.
    counts : float64 array of shape (heads, 3)
        See `metrics.count_heads`.
    """

    loss: float
    moved: bool
    counts: np.ndarray

    @property
    def fault(self) -> str:
        """Say why nothing has moved."""
        if math.isfinite(self.loss):
            return f"a gradient was not finite, at a loss of {self.loss:.4g},"
        return f"the loss became {self.loss}"


class TrainingStep:
    """Forward, backward, clip, move: what training repeats.

    On a GPU the step is recorded as a graph and replayed (see `minicnn.cuda.graph`), with batches of the
    first one's size; there, a step may not depend on the host by anything but what `_send` sends. A step that
    cannot be recorded is run op by op, on the same arrays and random numbers.

    Parameters
    ----------
    model : Module
        In training mode; its output is a `GoogLeNetOutput`.
    state : TrainingState
    say : function, default=print
        Takes a line that says, once, why the step cannot be recorded.
    """

    def __init__(self, model: Module, state: TrainingState, say: Callable[[str], None] = print) -> None:
        self.model = model
        self.state = state
        self.say = say
        self.dropouts = [module for _, module in model.named_modules() if isinstance(module, Dropout)]
        xp = array_module(model.parameters()[0].data)
        self._recorded: RecordedFunction | None = None
        self._keys: Array = None
        self._generators = [dropout.rng for dropout in self.dropouts]  # as they were
        if xp is not np:
            self._recorded = RecordedFunction(self._compute, self._send, self._what_it_reads)
            self._keys = xp.empty(len(self.dropouts), np.uint64)
            for place, dropout in enumerate(self.dropouts):
                dropout.rng = DeviceGenerator(self._keys[place])

    def __call__(self, images: Array, labels: Array, epoch: int, step_of_epoch: int) -> StepResult:
        """Take a step on images (N, H, W, C) with labels (N,), at this place in training."""
        self.seed_dropouts(epoch, step_of_epoch)
        with pinned_blas():
            if self._recorded is None:
                loss, guard, counts = self._compute(images, labels)
            else:
                loss, guard, counts = self._run_recorded(self._recorded, images, labels)
            moved = math.isfinite(float(to_numpy(guard)))
            return StepResult(float(to_numpy(loss)), moved, to_numpy(counts))

    def close(self) -> None:
        """Let go of what a recorded step holds and give dropouts their generators back; the last call."""
        self.state.optimizer.zero_grad()
        self._recorded = None
        for dropout, rng in zip(self.dropouts, self._generators, strict=True):
            dropout.rng = rng

    def seed_dropouts(self, epoch: int, step_of_epoch: int) -> None:
        """Let the dropouts draw what belongs to this place in training."""
        seed = self.state.config.seed
        generators = [
            counter_generator(seed, Stream.DROPOUT, epoch, step_of_epoch, place)
            for place in range(len(self.dropouts))
        ]
        if self._recorded is None:
            for dropout, generator in zip(self.dropouts, generators, strict=True):
                dropout.rng = generator
        elif generators:
            self._keys.set(np.array([rng.integers(2**64, dtype=np.uint64) for rng in generators]))

    def _compute(self, images: Array, labels: Array) -> tuple[Array, ...]:
        config, optimizer, average = self.state.config, self.state.optimizer, self.state.average
        for dropout in self.dropouts:
            if isinstance(dropout.rng, DeviceGenerator):
                dropout.rng.calls = 0
        out = self.model(Tensor(images))
        loss = total_loss(out, labels, config.aux_weight)
        optimizer.zero_grad()
        loss.backward()
        if config.clip_norm > 0:
            norm = optim.clip_gradients(optimizer.parameters, config.clip_norm)
        else:
            norm = optim.gradient_norm(optimizer.parameters)
        guard = guarded(loss, norm)
        optimizer.step(guard)
        if average:
            average.update(guard)
        return loss.data, guard.data, count_heads(out, labels)

    def _run_recorded(self, recorded: RecordedFunction, images: Array, labels: Array) -> tuple[Array, ...]:
        try:
            return recorded(images=images, labels=labels)
        except RecordingError as error:
            self.say(
                f"this training step cannot be recorded as a CUDA graph, because of "
                f"{culprit(error, self.model)}: {error}; "
                "it is run op by op instead: the same results, but slower"
            )
        # Out here the error, and with it all that the failed recording had in memory, is gone.
        return recorded(images=images, labels=labels)

    def _what_it_reads(self) -> tuple[object, ...]:
        config, optimizer, average = self.state.config, self.state.optimizer, self.state.average
        weights = self.model.parameters()
        return (
            *(p.data.data.ptr for p in weights),
            *(p.requires_grad for p in weights),
            *(dropout.p for dropout in self.dropouts),
            *optimizer.addresses(),
            *(a.data.ptr for a in (average.averages if average else [])),
            (optimizer.momentum, optimizer.nesterov, config.clip_norm, config.aux_weight),
            (self.model.training, get_float32_matmul_precision(), winograd_enabled(), kernels_enabled()),
        )

    def _send(self) -> None:
        self.state.optimizer.send_rates()
        if self.state.average:
            self.state.average.count_update()
