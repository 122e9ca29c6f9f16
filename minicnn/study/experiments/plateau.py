"""Whether it helps to divide the learning rate when validation stops improving.

Lectures give it as the rule of thumb: train at a high rate, watch the validation error, divide the rate by ten
when it stops falling. Here the same network is trained with

    divided     a tenth of the rate after every epoch whose validation loss is no new best
    constant    the same rate throughout

Until the first division the two are the same run, to the last bit: what differs afterwards is due to it.
"""

from __future__ import annotations

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

    def after_division(self, way: str, number: Callable[[Sequence[float]], float]) -> Repetitions:
        """Take a number from the validation accuracies (in percent) of all epochs after the first division.

        For each seed in which there was one.
        """
        return Repetitions([
            number([100 * epoch["main"] for epoch in run.validation[division:]])
            for run, division in zip(self.of(way), self.divisions(), strict=True)
            if division is not None
        ])  # fmt: skip

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
        divided = sum(division is not None for division in self.divisions())
        if not divided:
            return ["validation never stopped improving, so the rate was never divided; raise --epochs"]
        found = [
            self._compared("in the epoch after the first division", lambda after: after[0]),
            self._compared("as a mean over all epochs after it", lambda after: sum(after) / len(after)),
        ]
        if all(division is None or division < len(self.runs[0].validation) - 1 for division in self.divisions()):
            moves = minus(self.after_division(DIVIDED, _moves), self.after_division(CONSTANT, _moves))
            how_far = [f"{self.after_division(way, _moves).mean:.1f}" for way in self.ways]
            found.append(
                f"from epoch to epoch after it accuracy moves by {how_far[0]} up or down with a divided rate, "
                f"by {how_far[1]} with a constant one: {points(moves)} "
                f"({said(moves, 'less steady', 'steadier')})"
            )
        at_end = minus(self.test(DIVIDED), self.test(CONSTANT))
        return [
            *found,
            f"at the end, on test images: {points(at_end)} ({said(at_end, 'dividing helps', 'dividing harms')})",
        ]

    def _compared(self, when: str, number: Callable[[Sequence[float]], float]) -> str:
        difference = minus(self.after_division(DIVIDED, number), self.after_division(CONSTANT, number))
        return f"{when}: {points(difference)} ({said(difference, 'dividing helps', 'dividing harms')})"


def _moves(accuracies: Sequence[float]) -> float:
    """By how much a curve moves from epoch to epoch, on average."""
    return sum(abs(after - before) for before, after in pairwise(accuracies)) / (len(accuracies) - 1)
