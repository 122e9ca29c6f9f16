"""Whether it helps to divide the learning rate when validation stops improving.

Lectures give it as the rule of thumb: train at a high rate, watch the validation error, divide the rate by
ten when it stops falling. Here the same network is trained with

    divided     a tenth of the rate after every epoch whose validation loss is no new best
    constant    the same rate throughout

Until the first division the two are the same run, to the last bit: what differs afterwards is due to it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from minicnn.study.experiments.repetitions import Repetitions, mean_over, minus
from minicnn.study.experiments.ways import WayRun, WaysExperiment, points, said

DIVIDED, CONSTANT = "divided", "constant"


@dataclass(frozen=True)
class PlateauExperiment(WaysExperiment[WayRun]):
    """Trainings with a rate that is divided, and with a constant one."""

    ways = (DIVIDED, CONSTANT)
    question = "Does it help to divide the rate when validation stops improving?"

    def divisions(self) -> list[int | None]:
        """After how many epochs the rate was divided for the first time, by seed; None if it never was."""
        return [
            next((epoch for epoch, lr in enumerate(run.lr) if lr < run.lr[0]), None)
            for run in self.of(DIVIDED)
        ]

    def after_division(
        self, way: str, number: Callable[[Sequence[float]], float], epochs: int = 1
    ) -> Repetitions | None:
        """Take a number from the validation accuracies (in percent) of all epochs after the first division.

        For each seed with at least so many such epochs; None if there is no such seed.
        """
        curves = [
            [100 * epoch["main"] for epoch in run.validation[division:]]
            for run, division in zip(self.of(way), self.divisions(), strict=True)
            if division is not None
        ]
        numbers = [number(curve) for curve in curves if len(curve) >= epochs]
        return Repetitions(numbers) if numbers else None

    def table(self) -> list[str]:
        divisions = self.divisions()
        head = (
            f"{'':10}{'seeds in which the':>20}\n"
            f"{'epoch':10}{'rate was divided':>20}{DIVIDED:>14}{CONSTANT:>14}   divided - constant"
        )
        lines = []
        for epoch in range(len(self.runs[0].validation)):
            so_far = sum(division is not None and division <= epoch for division in divisions)
            both = [self.validation(way, epoch) for way in self.ways]
            difference = points(minus(*both)) if so_far else "the same"
            lines.append(
                f"{epoch + 1:<10}{f'{so_far} of {len(divisions)}':>20}{both[0]!s:>14}{both[1]!s:>14}   "
                f"{difference}"
            )
        both = [self.test(way) for way in self.ways]
        lines.append(f"{'test images, at the end':30}{both[0]!s:>14}{both[1]!s:>14}   {points(minus(*both))}")
        rule = "-" * max(map(len, [*head.splitlines(), *lines]))
        title = f"Accuracy in % of the main head on validation images, {mean_over(len(self.seeds))}"
        return [title, *head.splitlines(), rule, *lines[:-1], rule, lines[-1], rule]

    def remarks(self) -> list[str]:
        by_seed = [
            f"{'never' if division is None else division} (seed {seed})"
            for seed, division in zip(self.seeds, self.divisions(), strict=True)
        ]
        return [f"Epochs before the first division: {', '.join(by_seed)}"]

    def findings(self) -> list[str]:
        if not any(self.divisions()):
            return ["validation never stopped improving, so the rate was never divided; raise --epochs"]
        at_end = minus(self.test(DIVIDED), self.test(CONSTANT))
        return [
            *self._after_division("in the epoch after the first division", lambda curve: curve[0]),
            *self._after_division("as a mean over all epochs after it", statistics.fmean),
            *self._steadiness(),
            f"at the end, on test images: {_judged(at_end)}",
        ]

    def _after_division(self, when: str, number: Callable[[Sequence[float]], float]) -> list[str]:
        divided, constant = (self.after_division(way, number) for way in self.ways)
        if divided is None or constant is None:
            return []
        return [f"{when}: {_judged(minus(divided, constant))}"]

    def _steadiness(self) -> list[str]:
        divided, constant = (self.after_division(way, _moves, epochs=2) for way in self.ways)
        if divided is None or constant is None:
            return []
        difference = minus(divided, constant)
        return [
            f"from epoch to epoch after it accuracy moves by {divided.mean:.1f} up or down with a divided "
            f"rate, by {constant.mean:.1f} with a constant one: {points(difference)} "
            f"({said(difference, 'less steady', 'steadier')})"
        ]


def _judged(difference: Repetitions) -> str:
    return f"{points(difference)} ({said(difference, 'dividing helps', 'dividing harms')})"


def _moves(accuracies: Sequence[float]) -> float:
    """By how much a curve moves from epoch to epoch, on average."""
    return sum(abs(after - before) for before, after in pairwise(accuracies)) / (len(accuracies) - 1)
