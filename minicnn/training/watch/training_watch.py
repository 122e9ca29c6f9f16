"""The watch over a run: when it looks, what is news, and where that is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from minicnn.backend import Array
from minicnn.data import Loader
from minicnn.errors import DeviceMemoryError
from minicnn.nn import Module
from minicnn.training.metrics import Figures
from minicnn.training.records import keep_records
from minicnn.training.run_folder import RunFolder
from minicnn.training.splits import Splits
from minicnn.training.state import TrainingState
from minicnn.training.watch.examination import Examination, examine
from minicnn.training.watch.failures import FAILURES
from minicnn.training.watch.findings import FINDINGS, Finding
from minicnn.training.watch.plateau import PlateauWatch

MOST_IMAGES = 32  # looked at; a look takes about as long as a step on as many
EARLY = (2, 25)  # steps: what is dead shows soon, what explodes sooner
STEPS_BETWEEN = 100  # at least so many from one look after an epoch to the next: a hundredth of the time


class News:
    """Tells what an examination shows that was not known yet, and what is over.

    Attributes
    ----------
    known : dict of str to set of str
        For each kind of failure the places that were named and are not over.
    advised : set of str
        The kinds for which it has been said what helps: once is enough.
    """

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {failure.kind: set() for failure in FAILURES}
        self.advised: set[str] = set()

    def of(self, found: Examination) -> list[Finding]:
        """Return the findings that are news."""
        news = []
        for failure in FAILURES:
            known = self.known[failure.kind]
            affected = failure.affected(failure.measure(found), known)
            if new := {place: number for place, number in affected.items() if place not in known}:
                advice = "" if failure.kind in self.advised else failure.advice
                news.append(Finding(failure.kind, new, failure.describe(new, found), advice))
                self.advised.add(failure.kind)
                known.update(new)
            elif known and not affected:
                numbers = failure.measure(found)
                where = {place: numbers.get(place, 0.0) for place in sorted(known)}
                news.append(Finding(failure.kind, where, "this is over.", over=True))
                known.clear()
        return news


class TrainingWatch:
    """Looks on at a run, and changes nothing in it.

    After the second and the 25th step, and after epochs, a few training images are sent through the network
    and back (see `examine`); the heads are judged by the figures of each epoch (see `PlateauWatch`). What is
    news is returned, to be said, and kept in findings.jsonl; a run that is resumed goes on from what is kept.

    Parameters
    ----------
    model : Module
    state : TrainingState
        Restored, if the run is resumed.
    splits : Splits
    run : RunFolder
    """

    def __init__(self, model: Module, state: TrainingState, splits: Splits, run: RunFolder) -> None:
        self.model = model
        self.state = state
        steps = len(splits.train)
        self.run = run
        self.plateau = PlateauWatch(len(splits.facts.class_names), steps)
        self.news = News()
        self.out_of_memory = False
        self._batch = _batch_to_look_at(splits.train)
        self._epochs_between = math.ceil(STEPS_BETWEEN / steps)
        self._looked_at_step = -1
        self._past: list[tuple[int, str, bool, str]] = []  # step, kind, over, place
        known = {**self.news.known, "plateau": self.plateau.stuck}
        for record in keep_records(run.path / FINDINGS, lambda of_record: of_record <= state.step):
            places = known.get(record["kind"], set())
            if record["over"]:
                places.difference_update(record["where"])
            else:
                places.update(record["where"])
                self.news.advised.add(record["kind"])
            self._remember(record["step"], record["kind"], record["over"], record["where"])

    def before_step(self, step_of_epoch: int, figures: Mapping[str, Figures]) -> None:
        """Take note of an epoch's running totals before one of its steps."""
        self.plateau.before_step(step_of_epoch, figures)

    def after_step(self) -> list[Finding]:
        """Look into the network if it is early in the run; return what is news."""
        return self._keep(self._look()) if self.state.step in EARLY else []

    def after_epoch(
        self, training: Mapping[str, Figures], validation: Mapping[str, Figures]
    ) -> list[Finding]:
        """Judge an epoch by its totals and look into the network; return what is news."""
        plateau = self.plateau.after_epoch(training, validation)
        findings = [plateau] if plateau else []
        epoch = self.state.epoch
        if epoch % self._epochs_between == 0 or epoch == self.state.config.epochs:
            findings += self._look()
        return self._keep(findings)

    def after_divergence(self, where: str, rate: float) -> None:
        """Keep where the first number came from that is not finite, and at which learning rate."""
        self._keep(
            [Finding("not finite", {where: rate}, f"the loss is not finite: {where}.", "a lower --lr.")]
        )

    def state_dict(self) -> dict[str, Any]:
        """What has to be remembered in the middle of an epoch, besides the findings; JSON can hold it."""
        before = {head: asdict(totals) for head, totals in self.plateau.before.items()}
        return {"before": before, "looked_at_step": self._looked_at_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.plateau.before = {head: Figures(**totals) for head, totals in state["before"].items()}
        self._looked_at_step = state["looked_at_step"]

    def so_far(self) -> str | None:
        """Say in a few words what was seen in the run, and since when; None if it was nothing.

        Examples: "dead ReLUs in aux1.conv and 3 more (from step 25 on); plateau in main (until step 280)".
        """
        since: dict[str, tuple[int, dict[str, None]]] = {}
        until: dict[str, int] = {}
        open_places: dict[str, set[str]] = {}
        for step, kind, over, place in self._past:
            still = open_places.setdefault(kind, set())
            if over:
                still.discard(place)
                until[kind] = step
            else:
                still.add(place)
                since.setdefault(kind, (step, {}))[1][place] = None
        parts = []
        for kind, (step, places) in since.items():
            first, *others = places
            more = f" and {len(others)} more" if others else ""
            end = f" to {until[kind]}" if not open_places[kind] else " on"
            parts.append(f"{kind} in {first}{more} (from step {step}{end})")
        return "; ".join(parts) or None

    def _look(self) -> list[Finding]:
        if self.out_of_memory or self._looked_at_step == self.state.step:
            return []
        self._looked_at_step = self.state.step
        config = self.state.config
        try:
            found = examine(self.model, *self._batch, self.state.optimizer, config.aux_weight, config.aux)
        except (DeviceMemoryError, MemoryError):  # the run may do without
            self.out_of_memory = True
            return []
        return self.news.of(found)

    def _keep(self, findings: list[Finding]) -> list[Finding]:
        for finding in findings:
            step, epoch = self.state.step, -(-self.state.step // self.plateau.steps_per_epoch)
            self.run.append(FINDINGS, finding.to_json(step, epoch))
            self._remember(step, finding.kind, finding.over, finding.where)
        return findings

    def _remember(self, step: int, kind: str, over: bool, where: Mapping[str, float]) -> None:
        self._past += [(step, kind, over, place) for place in where]


def _batch_to_look_at(loader: Loader) -> tuple[Array, Array]:
    """Take a few training images from all over the data set, as they are; half a batch, so that they fit."""
    count = min(MOST_IMAGES, max(8, loader.batch_size // 2), len(loader.images))
    chosen = np.linspace(0, len(loader.images) - 1, count).astype(int)
    few = Loader(
        loader.images[chosen], loader.labels[chosen], count, seed=loader.seed,
        normalisation=loader.normalisation, size=loader.size, device=loader.device,
    )  # fmt: skip
    (batch,) = few.epoch(0)
    return batch
