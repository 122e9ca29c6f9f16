"""The watch over a run: when it looks, what is news, and where that is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
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
from minicnn.training.watch.causes import TOO_LONG_STEPS, advise
from minicnn.training.watch.examination import examine
from minicnn.training.watch.findings import FINDINGS, Finding, wrap
from minicnn.training.watch.news import News
from minicnn.training.watch.plateau import PlateauWatch

MOST_IMAGES = 32  # looked at; a look takes about as long as a step on as many
EARLY = (2, 25)  # steps: what is dead shows soon, what explodes sooner
STEPS_BETWEEN = 100  # at least so many from one look after an epoch to the next: a hundredth of the time


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
        self.plateau = PlateauWatch(len(splits.facts.class_names), steps, state.config)
        self.news = News(state.config)
        self.out_of_memory = False
        self._batch = _batch_to_look_at(splits.train)
        self._epochs_between = math.ceil(STEPS_BETWEEN / steps)
        self._looked_at_step = -1
        self._advised: dict[str, None] = {}  # in the order in which it was said
        self._order = {name: place for place, (name, _) in enumerate(model.named_modules())}
        self._past: list[tuple[int, str, bool, str]] = []  # step, kind, over, place
        known = {**self.news.known, "plateau": self.plateau.stuck}
        for record in keep_records(run.path / FINDINGS, lambda of_record: of_record <= state.step):
            places = known.get(record["kind"], set())
            if record["over"]:
                places.difference_update(record["where"])
            else:
                places.update(record["where"])
                self.news.explained.add(record["kind"])
            if isinstance(record["advice"], list):  # a text in runs of earlier versions
                self._advised.update(dict.fromkeys(record["advice"]))
            self._remember(record["step"], record["kind"], record["over"], record["where"])

    def before_step(self, figures: Mapping[str, Figures]) -> None:
        """Take note of an epoch's running totals before one of its steps."""
        self.plateau.before_step(self.state.step, figures)

    def after_step(self) -> list[Finding]:
        """Look into the network if it is early in the run; return what is news."""
        return self._keep(self._look()) if self.state.step in EARLY else []

    def after_epoch(
        self, training: Mapping[str, Figures], validation: Mapping[str, Figures]
    ) -> list[Finding]:
        """Judge an epoch by its totals and look into the network; return what is news."""
        plateau = self.plateau.after_epoch(self.state.step, training, validation)
        findings = [plateau] if plateau else []
        epoch = self.state.epoch
        if epoch % self._epochs_between == 0 or epoch == self.state.config.epochs:
            findings += self._look()
        return self._keep(findings)

    def after_divergence(self, where: str, rate: float) -> str:
        """Keep where the first number came from that is not finite, and at which rate; say what to try."""
        # Its step is the one that could not be taken: a run that is resumed before it forgets this.
        advice = advise(TOO_LONG_STEPS, self.state.config)
        seen = f"the loss is not finite: {where}."
        finding = Finding("not finite", self.state.step + 1, {where: rate}, seen, advice)
        self.run.append(FINDINGS, finding.to_json(self.state.epoch + 1))
        return "; ".join(advice)

    def state_dict(self) -> dict[str, Any]:
        """What has to be remembered in the middle of an epoch, besides the findings; JSON can hold it."""
        before = {head: asdict(totals) for head, totals in self.plateau.before.items()}
        return {"before": before, "looked_at_step": self._looked_at_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.plateau.before = {head: Figures(**totals) for head, totals in state["before"].items()}
        self._looked_at_step = state["looked_at_step"]

    def so_far(self) -> str | None:
        """Say in a few words what was seen in the run, where first, and since when; None if it was nothing.

        As in "dead ReLUs in aux1.conv and 3 more (from step 25 on); plateau in main (from step 45 to 280)".
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
            first, *others = sorted(places, key=lambda place: self._order.get(place, -1))
            more = f" and {len(others)} more" if others else ""
            end = f" to {until[kind]}" if not open_places[kind] else " on"
            parts.append(f"{kind} in {first}{more} (from step {step}{end})")
        return "; ".join(parts) or None

    def summary(self) -> str | None:
        """Say at the end of a run what was seen in it and, unless it is all over, what to try."""
        if not (seen := self.so_far()):
            return None
        still = self.plateau.stuck or any(self.news.known.values())
        lines = [line for text in self._advised for line in wrap(text, "  ")] if still else []
        return "\n".join([*wrap(f"what the watch saw: {seen}"), *lines])

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
        return self.news.of(found, self.state.step)

    def _keep(self, findings: list[Finding]) -> list[Finding]:
        kept = []
        for finding in findings:
            advice = tuple(line for line in finding.advice if line not in self._advised)  # once is enough
            self._advised.update(dict.fromkeys(advice))
            kept.append(replace(finding, advice=advice))
            epoch = -(-finding.step // self.plateau.steps_per_epoch)
            self.run.append(FINDINGS, kept[-1].to_json(epoch))
            self._remember(finding.step, finding.kind, finding.over, finding.where)
        return kept

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
