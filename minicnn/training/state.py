"""Everything that changes from step to step of a run, to a checkpoint and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from minicnn import optim
from minicnn.errors import CheckpointError
from minicnn.nn import Module
from minicnn.training.checkpoint import Checkpoint, DataFacts
from minicnn.training.config import Config
from minicnn.training.schedule_of_run import make_schedule


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
        self.epoch = 0
        self.step = 0
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
        weights = self.model.state_dict()
        return Checkpoint(self.config, data, self.epoch, self.step, weights, velocity, averages, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to the moment a checkpoint was made.

        Raises
        ------
        MinicnnError
            If the checkpoint belongs to another network or lacks something.
        """
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
        except KeyError as error:
            raise CheckpointError(f"the checkpoint lacks {error}, which this run needs to go on") from None
        self.epoch, self.step = checkpoint.epoch, checkpoint.step

    def _names(self) -> dict[int, str]:
        return {id(parameter): name for name, parameter in self.model.named_parameters()}
