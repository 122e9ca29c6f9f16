"""What a run keeps on disk while it is under way, when, and what is said if it could not be kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minicnn.errors import MinicnnError
from minicnn.training.checkpoint import Checkpoint, DataFacts, place_in_words
from minicnn.training.newest_checkpoint import CHECKPOINT
from minicnn.training.run_folder import RunFolder
from minicnn.training.shell import resume_command
from minicnn.training.state import TrainingState
from minicnn.training.stopping import TrainingStopped
from minicnn.training.watch import TrainingWatch

MINUTES = 5.0  # of work that a crash may cost


class NotKeptError(MinicnnError):
    """A run has ended, and part of it could not be written to the disk."""


class Keeper:
    """Writes checkpoints after every epoch and every so many minutes, and knows what they do not hold yet.

    Parameters
    ----------
    run : RunFolder
    state : TrainingState
    watch : TrainingWatch
    facts : DataFacts
    rows : list of dict
        The lines of metrics.jsonl, to which the loop adds.
    checkpoint : Checkpoint or None
        The one that the run goes on from.
    minutes : float
        From one checkpoint to the next, within an epoch.
    """

    def __init__(
        self,
        run: RunFolder,
        state: TrainingState,
        watch: TrainingWatch,
        facts: DataFacts,
        rows: list[dict[str, Any]],
        checkpoint: Checkpoint | None,
        minutes: float,
    ) -> None:
        self.run = run
        self.state = state
        self.watch = watch
        self.facts = facts
        self.rows = rows
        self.seconds = 60.0 * minutes
        self._kept = (checkpoint.epoch, checkpoint.step_of_epoch) if checkpoint else (0, 0)
        self._last = time.monotonic()

    @property
    def kept(self) -> str:
        """Where in training the last checkpoint was made, in words; empty if there is none."""
        return "" if self._kept == (0, 0) else place_in_words(*self._kept)

    def after_step(self) -> None:
        """Write a checkpoint if it is time."""
        if time.monotonic() - self._last >= self.seconds:
            self.save()

    def save(self) -> bool:
        """Write a checkpoint of this moment; say if it worked."""
        checkpoint = self.state.checkpoint(self.facts)
        checkpoint.metrics = self.rows
        if checkpoint.step_of_epoch:
            checkpoint.state["watch"] = self.watch.state_dict()
        saved = self.run.save_checkpoint(checkpoint)
        if saved:
            self._kept = self._here
        self._last = time.monotonic()  # and if not, it is not tried after every step
        return saved

    @contextmanager
    def kept_if_stopped(self) -> Iterator[None]:
        """Keep what there is if a run is stopped inside the block; the request then has words for the user.

        Raises
        ------
        NotKeptError
            If it cannot be kept.
        """
        try:
            yield
        except TrainingStopped as request:
            raise self._stopped(request) from None

    def _stopped(self, request: TrainingStopped) -> TrainingStopped:
        if self._kept != self._here:
            self.save()
        self.run.write_records()
        self._complain(f"stopped after {place_in_words(*self._here)}")
        kept = f"{self.kept} is kept" if self.kept else "no step was completed"
        return TrainingStopped(request.number, f"stopped; {kept}")

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result of a run that has come to its end, once everything else is there.

        Raises
        ------
        NotKeptError
            If something could not be written; says what would be lost.
        """
        if self._kept != self._here:
            self.save()
        everything_is_there = self.run.write_records() and self._kept == self._here
        if everything_is_there:  # with a result, a run is not resumed any more
            self.run.write_result(result)
        self._complain(f"training has ended (test accuracy {result['test_accuracy']:.2%})")

    @property
    def _here(self) -> tuple[int, int]:
        return self.state.epoch, self.state.so_far.step

    def _complain(self, what: str) -> None:
        trouble = self.run.trouble
        if not trouble:
            return
        reasons = "; ".join(f"{name}: {reason}" for name, reason in trouble.items())
        lost = ""
        if CHECKPOINT in trouble:
            since = f"since {self.kept}" if self.kept else "from the start"
            lost = f"; what was trained {since} is lost"
        raise NotKeptError(
            f"{what}, but not everything could be written to {self.run.path} ({reasons}){lost}; see to "
            f"that, then continue with {resume_command(self.run.path)}"
        )
