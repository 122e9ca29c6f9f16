"""`--watch-gradients`: where each layer's gradient comes from, every so many steps of a run.

    gradients.jsonl   one object a recording: step, epoch, the interval, and for each layer norms and gradient
                      over weight
    gradients.png     the same as a heat map, layer by step

A recording is made just before a step, on its images and with its dropout masks, by a forward pass of its
own: what the step itself computes stays the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minicnn.backend import Array
from minicnn.nn import Module
from minicnn.training.gradient_map import draw_gradient_map
from minicnn.training.records import keep_records, read_records
from minicnn.training.run_folder import RunFolder
from minicnn.training.step import TrainingStep

GRADIENTS = "gradients.jsonl"
GRADIENT_MAP = "gradients.png"

# For each layer, in network order: "norm", "main", "aux1", "aux2" and "gradient_to_weight".
Layers = Mapping[str, Mapping[str, float | None]]


class GradientWatch:
    """Looks on at the gradients of a run.

    Parameters
    ----------
    run : RunFolder
        Gets gradients.jsonl and gradients.png.
    every : int
        Steps from one recording to the next; they are made before steps 0, `every`, 2 * `every`, ...
    measure : callable
        ``measure(model, images, labels, aux_weight)`` returns the figures of each layer, and leaves the
        model as it was.
    """

    def __init__(
        self, run: RunFolder, every: int, measure: Callable[[Module, Array, Array, float], Layers]
    ) -> None:
        self.every = every
        self.measure = measure
        self.run = run

    def before_step(
        self, take_step: TrainingStep, images: Array, labels: Array, epoch: int, step_of_epoch: int
    ) -> None:
        """Record the gradients of the step that is about to be taken, if it is time."""
        state = take_step.state
        if state.step % self.every:
            return
        take_step.seed_dropouts(epoch, step_of_epoch)  # and again by the step itself
        layers = self.measure(take_step.model, images, labels, state.config.aux_weight)
        record = {"step": state.step, "epoch": epoch + 1, "every": self.every, "layers": layers}
        self.run.append(GRADIENTS, record)

    def draw(self, title: str) -> None:
        """Draw everything recorded so far."""
        if records := read_recordings(self.run):
            path = self.run.path / GRADIENT_MAP
            self.run.attempt(GRADIENT_MAP, lambda: draw_gradient_map(records, path, title))


def is_watched(run: RunFolder) -> bool:
    """Say whether the gradients of a run are, or were, recorded."""
    return (run.path / GRADIENTS).exists()


def read_recordings(run: RunFolder) -> list[dict[str, Any]]:
    """Read gradients.jsonl, if there is one; a last line that a crash cut short is left out."""
    return read_records(run.path / GRADIENTS)


def keep_recordings(run: RunFolder, step: int) -> None:
    """Forget recordings of step `step` and later, which a run that was interrupted may have left."""
    keep_records(run.path / GRADIENTS, lambda of_record: of_record < step)


def last_interval(run: RunFolder) -> int | None:
    """Return every how many steps a run was last recorded; None if no recording says so."""
    records = read_recordings(run)
    every = records[-1].get("every") if records else None
    if every is None and len(records) > 1:  # written by an earlier version
        every = records[-1]["step"] - records[-2]["step"]
    return every if isinstance(every, int) and every > 0 else None
