"""Whether auxiliary heads help a network to learn, and whether learning rates of single layers do as well.

Lectures give two reasons for believing so: without heads the middle of a deep network dies; and the heads
themselves are worse classifiers than the end. One lecture adds that the alternative to heads would be a
learning rate for each layer. Here the same network is trained in three ways, with several seeds:

    with heads       loss = main + 0.3 aux1 + 0.3 aux2
    without heads    loss = main, same initial weights
    layer rates      as without heads, but each layer's rate is multiplied by how many times as large the
                     heads make its gradient before training: |g_main + g_aux1 + g_aux2| / |g_main|
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minicnn.study.attribution import HEADS
from minicnn.study.experiments.heads_picture import draw_heads
from minicnn.study.experiments.repetitions import Repetitions, mean_over, minus

WITH, WITHOUT, RATES = "with heads", "without heads", "layer rates"
WAYS = (WITH, WITHOUT, RATES)


@dataclass(frozen=True)
class HeadsRun:
    """One training.

    Attributes
    ----------
    way : str
        One of `WAYS`.
    seed : int
    validation : tuple of dict
        After each epoch, the accuracy of each head the network has on validation images: 0 to 1.
    test : dict
        After the last epoch, the accuracy of each head on test images.
    rates : dict
        Factors on the learning rates of single layers; empty if there are none.
    """

    way: str
    seed: int
    validation: tuple[Mapping[str, float], ...]
    test: Mapping[str, float]
    rates: Mapping[str, float]


@dataclass(frozen=True)
class HeadsExperiment:
    """Trainings side by side: all ways for each seed. `str()` is the table, with what it says."""

    runs: tuple[HeadsRun, ...]

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return list(dict.fromkeys(run.seed for run in self.runs))

    def of(self, way: str) -> list[HeadsRun]:
        """Return the runs of one way, in the order of their seeds."""
        return sorted((run for run in self.runs if run.way == way), key=lambda run: run.seed)

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

    def rates(self) -> dict[str, Repetitions]:
        """Factor of each layer's rate in `RATES`."""
        runs = self.of(RATES)
        return {layer: Repetitions([run.rates[layer] for run in runs]) for layer in runs[0].rates}

    def __str__(self) -> str:
        epochs = len(self.runs[0].validation)
        head = f"{'':15}{'test images':^39}{'main, validation images, after epoch'}\n{'':15}" + "".join(
            f"{column:>13}" for column in (*HEADS, *range(1, epochs + 1))
        )
        lines = []
        for way in WAYS:
            cells = [str(self.test(way, name)) if name in self.of(way)[0].test else "" for name in HEADS]
            cells += [str(self.validation(way, epoch)) for epoch in range(epochs)]
            lines.append(f"{way:15}" + "".join(f"{cell:>13}" for cell in cells))
        rule = "-" * max(map(len, [*head.splitlines(), *lines]))
        title = f"Accuracy in %, {mean_over(len(self.seeds))}"
        factors = ", ".join(
            f"{layer.removeprefix('inception')} {rate}" for layer, rate in self.rates().items()
        )
        factors = textwrap.fill(f"Factors of the layer rates: {factors}", 112, subsequent_indent="  ")
        return "\n".join([title, head, rule, *lines, rule, factors, *self.verdict()])

    def verdict(self) -> list[str]:
        """Say in words what was found, and whether what the lectures say holds here."""
        lines = [
            "Differences within a seed, in percentage points, with the interval in which their mean lies "
            "(confidence 95%):"
        ]
        for head in HEADS[1:]:
            difference = minus(self.test(WITH), self.test(WITH, head))
            said = {
                1: "its error is higher, as the lecture says",
                -1: "its error is lower, which contradicts the lecture",
                0: "which of the two is better cannot be told",
            }[difference.sign]
            lines.append(f"- with heads, the end is {_points(difference)} better than {head}: {said}")
        comparisons = (
            (WITH, WITHOUT, "heads help", "heads harm"),
            (RATES, WITHOUT, "layer rates help", "layer rates harm"),
            (WITH, RATES, "heads are better than layer rates", "layer rates are better than heads"),
        )
        for first, second, better, worse in comparisons:
            at_end = minus(self.test(first), self.test(second))
            on_the_way = minus(self.speed(first), self.speed(second))
            lines.append(
                f"- {first} against {second}: {_points(at_end)} at the end "
                f"({_said(at_end, better, worse)}), {_points(on_the_way)} as a mean over the epochs "
                f"({_said(on_the_way, better, worse)})"
            )
        return [
            textwrap.fill(f"{line}." if line[0] == "-" else line, 112, subsequent_indent="  ")
            for line in lines
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as what `json.dumps` takes."""
        return {
            "ways": {
                way: {
                    "test": {head: self.test(way, head).to_json() for head in self.of(way)[0].test},
                    "validation_mean_over_epochs": self.speed(way).to_json(),
                }
                for way in WAYS
            },
            "rates": {layer: rate.to_json() for layer, rate in self.rates().items()},
            "verdict": [" ".join(line.split()) for line in self.verdict()],
            "runs": [asdict(run) for run in self.runs],
        }

    def draw(self, path: str | Path) -> None:
        """Draw accuracy over the epochs, and that of every head at the end, into a PNG file."""
        curves = {
            way: [[100 * epoch["main"] for epoch in run.validation] for run in self.of(way)] for way in WAYS
        }
        at_end = {
            (way, head): self.test(way, head).values
            for way in WAYS
            for head in HEADS
            if head in self.of(way)[0].test
        }
        draw_heads(curves, at_end, Path(path))


def _points(difference: Repetitions) -> str:
    if len(difference.values) < 2:
        return f"{difference.mean:+.1f}"
    low, high = difference.interval
    return f"{difference.mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _said(difference: Repetitions, better: str, worse: str) -> str:
    n = len(difference.values)
    unknown = f"cannot be told from {n} seed{'s' if n > 1 else ''}"
    return {1: better, -1: worse, 0: unknown}[difference.sign]
