"""Everything that changes from step to step of a run, to a checkpoint and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from minicnn import optim
from minicnn.backend import Array
from minicnn.errors import CheckpointError
from minicnn.nn import Module
from minicnn.training.checkpoint import Checkpoint, DataFacts
from minicnn.training.config import CHANGEABLE_ON_RESUME, Config, flag
from minicnn.training.metrics import Figures
from minicnn.training.schedule_of_run import make_schedule


@dataclass
class EpochSoFar:
    """What there is of an epoch under way.

    Attributes
    ----------
    step : int
        How many of its steps are completed.
    seconds : float
        How long they took.
    figures : dict of Figures
        By head.
    """

    step: int = 0
    seconds: float = 0.0
    figures: dict[str, Figures] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as a dictionary that JSON can hold exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> EpochSoFar:
        """Read what `to_json` gave."""
        figures = {head: Figures(**totals) for head, totals in content["figures"].items()}
        return cls(content["step"], content["seconds"], figures)


class TrainingState:
    """A network in training with its optimizer, schedule and averages.

    Parameters
    ----------
    model : Module
    config : Config
    steps_per_epoch : int
    layer_factors : mapping of str to float, default=None
        Learning rates of single layers, see `optim.weight_and_bias_groups`.

    Attributes
    ----------
    epoch, step : int
        How many are completed.
    so_far : EpochSoFar
        Of the epoch after those.
    optimizer : optim.SGD
    schedule : optim.Schedule
    average : optim.PolyakAverage or None
    """

    def __init__(
        self,
        model: Module,
        config: Config,
        steps_per_epoch: int,
        layer_factors: Mapping[str, float] | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.epoch = 0
        self.step = 0
        self.so_far = EpochSoFar()
        self.optimizer = optim.SGD(
            optim.weight_and_bias_groups(
                model, config.lr, config.weight_decay, config.bias_lr_factor, layer_factors
            ),
            config.lr,
            config.momentum,
            nesterov=config.nesterov,
        )
        self.schedule = make_schedule(config, steps_per_epoch)
        self.average: optim.PolyakAverage | None = None
        if config.average_epochs > 0:
            window = max(1, round(config.average_epochs * steps_per_epoch))
            self.average = optim.PolyakAverage(model.parameters(), window)

    @contextmanager
    def final_weights(self) -> Iterator[None]:
        """Inside the block the model has the weights it will be used with: the averages, if there are any."""
        if self.average is None:
            yield
        else:
            with self.average.applied():
                yield

    def checkpoint(self, data: DataFacts) -> Checkpoint:
        """Collect everything that `restore` needs."""
        names = self._names()
        optimizer = self.optimizer.state_dict()
        velocity = {
            names[id(self.optimizer.parameters[place])]: v for place, v in optimizer.pop("velocity").items()
        }
        state: dict[str, Any] = {"optimizer": optimizer}
        averages = {}
        if self.average:
            average = self.average.state_dict()
            averages = dict(zip(names.values(), average.pop("averages"), strict=True))
            state["average"] = average
        if isinstance(self.schedule, optim.Plateau):
            state["schedule"] = self.schedule.state_dict()
        if self.so_far.step:
            state["epoch"] = self.so_far.to_json()
        weights = self.model.state_dict()
        return Checkpoint(
            self.config, data, self.epoch, self.step, weights, velocity, averages, state, self.so_far.step
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to the moment a checkpoint was made.

        Raises
        ------
        CheckpointError
            If the checkpoint belongs to another run, or has something missing, left over, or of another
            shape or dtype; names it.
        """
        self._check(checkpoint)
        self.model.load_state_dict(checkpoint.weights)
        names = self._names()
        velocity = {
            place: checkpoint.velocity[names[id(parameter)]]
            for place, parameter in enumerate(self.optimizer.parameters)
            if names[id(parameter)] in checkpoint.velocity
        }
        try:
            self.optimizer.load_state_dict({**checkpoint.state["optimizer"], "velocity": velocity})
            if self.average:
                averages = [checkpoint.averages[name] for name in names.values()]
                self.average.load_state_dict({**checkpoint.state["average"], "averages": averages})
            if isinstance(self.schedule, optim.Plateau):
                self.schedule.load_state_dict(checkpoint.state["schedule"])
            if checkpoint.step_of_epoch:
                self.so_far = EpochSoFar.from_json(checkpoint.state["epoch"])
        except KeyError as error:
            raise CheckpointError(f"the checkpoint lacks {error}, which this run needs to go on") from None
        self.epoch, self.step = checkpoint.epoch, checkpoint.step

    def _check(self, checkpoint: Checkpoint) -> None:
        """Raise CheckpointError unless a checkpoint is one of this run."""
        own, other = self.config.to_json(), checkpoint.config.to_json()
        if odd := [name for name in own if own[name] != other[name] and name not in CHANGEABLE_ON_RESUME]:
            differences = ", ".join(f"{flag(name)} was {other[name]} and is {own[name]}" for name in odd)
            raise CheckpointError(f"the checkpoint is of another run: {differences}")
        expected = checkpoint.epoch * self.steps_per_epoch + checkpoint.step_of_epoch
        if checkpoint.step != expected:
            raise CheckpointError(
                f"the checkpoint is of another run: expected {expected} steps after {checkpoint.place}, with "
                f"{self.steps_per_epoch} in an epoch, got {checkpoint.step}"
            )
        parameters = {name: parameter.data for name, parameter in self.model.named_parameters()}
        _check_arrays("model", parameters, checkpoint.weights)
        with_velocity = {name: array for name, array in parameters.items() if name in checkpoint.velocity}
        _check_arrays("velocity", with_velocity, checkpoint.velocity)
        _check_arrays("average", parameters if self.average else {}, checkpoint.averages)

    def _names(self) -> dict[int, str]:
        return {id(parameter): name for name, parameter in self.model.named_parameters()}


def _check_arrays(kind: str, expected: Mapping[str, Array], got: Mapping[str, np.ndarray]) -> None:
    """Raise CheckpointError unless names, shapes and dtypes are the same."""
    missing, left_over = expected.keys() - got.keys(), got.keys() - expected.keys()
    for names, what in ((missing, "lacks"), (left_over, "has, and this network does not have,")):
        if names:
            first, *others = sorted(names)
            more = f" and {len(others)} more" if others else ""
            raise CheckpointError(f"the checkpoint {what} {kind}.{first}{more}")
    for name, array in expected.items():
        if (got[name].dtype, got[name].shape) != (array.dtype, array.shape):
            raise CheckpointError(
                f"{kind}.{name}: expected {array.dtype} of shape {array.shape}, "
                f"got {got[name].dtype} of shape {got[name].shape}"
            )
