"""Several ways to train the same network, side by side: accuracies, and differences within a seed."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from minicnn.study.attribution import HEADS
from minicnn.study.experiments.guessing import Guessing
from minicnn.study.experiments.repetitions import Repetitions, mean_over, minus
from minicnn.study.experiments.ways_picture import draw_ways


@dataclass(frozen=True)
class WayRun:
    """One training.

    Attributes
    ----------
    way : str
        How it was trained.
    seed : int
    validation : tuple of dict
        After each epoch, the accuracy of each head the network has on validation images: 0 to 1.
    test : dict
        After the last epoch, the accuracy of each head on test images.
    lr : tuple of float
        The learning rate at the end of each epoch.
    """

    way: str
    seed: int
    validation: tuple[Mapping[str, float], ...]
    test: Mapping[str, float]
    lr: tuple[float, ...]


Run = TypeVar("Run", bound=WayRun)


@dataclass(frozen=True)
class WaysExperiment(Generic[Run]):
    """Trainings side by side: all ways for each seed. `str()` is the table, with what it says.

    Parameters
    ----------
    runs : tuple of WayRun
    classes : int
        What the networks tell apart.
    """

    ways: ClassVar[tuple[str, ...]]
    question: ClassVar[str]

    runs: tuple[Run, ...]
    classes: int

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return list(dict.fromkeys(run.seed for run in self.runs))

    def of(self, way: str) -> list[Run]:
        """Return the runs of one way, in the order of their seeds."""
        return sorted((run for run in self.runs if run.way == way), key=lambda run: run.seed)

    def heads_of(self, way: str) -> list[str]:
        """Which heads its networks have."""
        return list(self.of(way)[0].test)

    def test(self, way: str, head: str = "main") -> Repetitions:
        """Accuracy of a head on test images, in percent."""
        return Repetitions([100 * run.test[head] for run in self.of(way)])

    def validation(self, way: str, epoch: int) -> Repetitions:
        """Accuracy of the main head on validation images after an epoch (from 0), in percent."""
        return Repetitions([100 * run.validation[epoch]["main"] for run in self.of(way)])

    def speed(self, way: str) -> Repetitions:
        """Mean over all epochs of the main head's validation accuracy: high if it learns early."""
        curves = [[epoch["main"] for epoch in run.validation] for run in self.of(way)]
        return Repetitions([100 * sum(curve) / len(curve) for curve in curves])

    def compared(self, first: str, second: str, better: str, worse: str) -> str:
        """Say in words how two ways differ, at the end and on the way there."""
        at_end = minus(self.test(first), self.test(second))
        on_the_way = minus(self.speed(first), self.speed(second))
        return (
            f"{first} against {second}: {points(at_end)} at the end ({said(at_end, better, worse)}), "
            f"{points(on_the_way)} as a mean over the epochs ({said(on_the_way, better, worse)})"
        )

    def findings(self) -> list[str]:
        """What was found, a sentence each."""
        raise NotImplementedError

    def remarks(self) -> list[str]:
        """What else there is to say about the ways."""
        return []

    def verdict(self) -> list[str]:
        """Say in words what was found, and whether what the lectures say holds here."""
        head = "Differences within a seed, in percentage points"
        if len(self.seeds) > 1:
            head += ", with the interval in which their mean lies (confidence 95%)"
        lines = [f"{head}:", *(f"- {finding}." for finding in self.findings())]
        guessing = Guessing(
            {way: [run.test["main"] for run in self.of(way)] for way in self.ways}, self.classes
        )
        return [_filled(line) for line in guessing.judge(lines)]

    def __str__(self) -> str:
        return "\n".join([*self.table(), *map(_filled, self.remarks()), *self.verdict()])

    def table(self) -> list[str]:
        """Return the lines of the table."""
        epochs = len(self.runs[0].validation)
        heads = [head for head in HEADS if any(head in self.heads_of(way) for way in self.ways)]
        head = (
            f"{'':15}{'test images':^{13 * len(heads)}}{'main, validation images, after epoch':>39}\n"
            f"{'':15}" + "".join(f"{column:>13}" for column in (*heads, *range(1, epochs + 1)))
        )
        lines = []
        for way in self.ways:
            cells = [str(self.test(way, name)) if name in self.heads_of(way) else "" for name in heads]
            cells += [str(self.validation(way, epoch)) for epoch in range(epochs)]
            lines.append(f"{way:15}" + "".join(f"{cell:>13}" for cell in cells).rstrip())
        rule = "-" * max(map(len, [*head.splitlines(), *lines]))
        title = f"Accuracy in %, {mean_over(len(self.seeds))}"
        return [title, *head.splitlines(), rule, *lines, rule]

    def to_json(self) -> dict[str, Any]:
        """Return everything as what `json.dumps` takes."""
        return {
            "ways": {
                way: {
                    "test": {head: self.test(way, head).to_json() for head in self.heads_of(way)},
                    "validation_mean_over_epochs": self.speed(way).to_json(),
                }
                for way in self.ways
            },
            "verdict": [" ".join(line.split()) for line in self.verdict()],
            "runs": [asdict(run) for run in self.runs],
        }

    def draw(self, path: str | Path) -> None:
        """Draw accuracy over the epochs, and that of every head at the end, into a PNG file."""
        curves: dict[str, Sequence[Sequence[float]]] = {
            way: [[100 * epoch["main"] for epoch in run.validation] for run in self.of(way)]
            for way in self.ways
        }
        at_end = {
            (way, head): self.test(way, head).values for way in self.ways for head in self.heads_of(way)
        }
        draw_ways(self.question, curves, at_end, Path(path))


def points(difference: Repetitions) -> str:
    """Write a difference in percentage points with its interval.

    Examples
    --------
    >>> points(Repetitions([1.0, 2.0, 3.0])), points(Repetitions([1.5]))
    ('+2.0 (-0.5 to +4.5)', '+1.5')
    """
    if len(difference.values) < 2:
        return f"{difference.mean:+z.1f}"
    low, high = difference.interval
    return f"{difference.mean:+z.1f} ({low:+z.1f} to {high:+z.1f})"


def said(difference: Repetitions, better: str, worse: str) -> str:
    """Choose the words for a difference whose interval lies above zero, or below; else it cannot be told."""
    n = len(difference.values)
    unknown = f"cannot be told from {n} seed{'s' if n > 1 else ''}"
    return {1: better, -1: worse, 0: unknown}[difference.sign]


def _filled(line: str) -> str:
    return textwrap.fill(line, 112, subsequent_indent="  ")
