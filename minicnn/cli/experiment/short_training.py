"""What the experiments train: small networks, quickly, without a run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType

from minicnn.cli.networks import build_network
from minicnn.nn import Module
from minicnn.training import Config, NonFiniteLossError, Splits
from minicnn.training.nonfinite import quiet_overflow
from minicnn.training.state import TrainingState
from minicnn.training.step import TrainingStep


def starting_network(config: Config, num_classes: int) -> Module:
    """Make a network before training; with heads and without, it starts with the same weights.

    (Those of the heads are drawn between those of the trunk, so a network without them would draw others.)
    """
    network = build_network(config, num_classes)
    if not config.aux:
        with_heads = build_network(replace(config, aux=True), num_classes)
        network.load_state_dict(with_heads.state_dict(), strict=False)
    return network


class ShortTrainings:
    """Several trainings, with one progress bar for all of them on a terminal.

    Parameters
    ----------
    total : int
        How many there will be.
    """

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        shown = "{desc} {bar} {n:.1f}/{total} [{elapsed}<{remaining}]"
        self._bar = tqdm(total=total, disable=None, leave=False, bar_format=shown)

    def __enter__(self) -> ShortTrainings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def train(
        self,
        network: Module,
        config: Config,
        splits: Splits,
        title: str,
        layer_factors: Mapping[str, float] | None = None,
        after_epoch: Callable[[TrainingState], object] = lambda state: None,
    ) -> None:
        """Train as `minicnn train` does, without writing anything.

        Parameters
        ----------
        network : Module
        config : Config
        splits : Splits
        title : str
            What the bar says, and an error.
        layer_factors : mapping of str to float, default=None
            See `optim.weight_and_bias_groups`.
        after_epoch : callable
            Called after every epoch with the state of the training.

        Raises
        ------
        NonFiniteLossError
            If it diverges.
        """
        self._bar.set_description_str(title)
        state = TrainingState(network, config, len(splits.train), layer_factors)
        take_step = TrainingStep(network, state)
        total_steps = config.epochs * len(splits.train)
        with quiet_overflow():
            for epoch in range(config.epochs):
                network.train()
                for step, (images, labels) in enumerate(splits.train.epoch(epoch)):
                    state.optimizer.lr_factor = state.schedule(state.step, total_steps)
                    taken = take_step(images, labels, epoch, step)
                    if not taken.moved:
                        raise NonFiniteLossError(
                            f"{title}: {taken.fault} in step {state.step + 1}: this training has "
                            "diverged, and nothing can be said; try another --seed"
                        )
                    state.step += 1
                    self._bar.update(1 / total_steps)
                after_epoch(state)
