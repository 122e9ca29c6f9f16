"""Whether auxiliary heads help a network to learn, and whether learning rates of single layers do as well.

Lectures say that without heads the middle of a deep network dies, and that the heads have a higher error than
the end. One lecture adds that the alternative to heads would be a learning rate for each layer. Here the same
network is trained in three ways, with several seeds:

    with heads       loss = main + 0.3 aux1 + 0.3 aux2
    without heads    loss = main, same initial weights
    layer rates      as without heads, but the rate of each layer is multiplied by how many times as large the
                     heads make its gradient before training: |g_main + g_aux1 + g_aux2| / |g_main|
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minicnn.study.experiments.repetitions import Repetitions, minus
from minicnn.study.experiments.ways import WayRun, WaysExperiment, points, said

WITH, WITHOUT, RATES = "with heads", "without heads", "layer rates"


@dataclass(frozen=True)
class HeadsRun(WayRun):
    """One training.

    Attributes
    ----------
    rates : dict
        Factors on the learning rates of single layers; empty if there are none.
    """

    rates: Mapping[str, float]


@dataclass(frozen=True)
class HeadsExperiment(WaysExperiment[HeadsRun]):
    """Trainings with heads, without, and with learning rates of single layers."""

    ways = (WITH, WITHOUT, RATES)
    question = "Do auxiliary heads help a network to learn?"

    def rates(self) -> dict[str, Repetitions]:
        """Factor of each layer's rate in `RATES`."""
        runs = self.of(RATES)
        return {layer: Repetitions([run.rates[layer] for run in runs]) for layer in runs[0].rates}

    def remarks(self) -> list[str]:
        factors = [f"{layer.removeprefix('inception')} {rate}" for layer, rate in self.rates().items()]
        return [f"Factors of the layer rates: {', '.join(factors)}"]

    def findings(self) -> list[str]:
        found = []
        for higher, lower in (("main", "aux2"), ("aux2", "aux1"), ("main", "aux1")):
            difference = minus(self.test(WITH, higher), self.test(WITH, lower))
            judged = said(
                difference,
                f"{lower} has the higher error, as the lecture says",
                f"{lower} has the lower error, which is not what the lecture says",
            )
            found.append(f"with heads, {higher} - {lower} is {points(difference)}: {judged}")
        return [
            *found,
            self.compared(WITH, WITHOUT, "heads help", "heads harm"),
            self.compared(RATES, WITHOUT, "layer rates help", "layer rates harm"),
            self.compared(
                WITH, RATES, "heads are better than layer rates", "layer rates are better than heads"
            ),
        ]
