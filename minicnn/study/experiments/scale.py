"""Whether an inception module picks its filter size by the size of the object.

Lectures say that this is what the branches are for: small objects are seen by small filters, large objects
by large ones. On the embedded data set the size of every object is known, so it can be asked. For each image
and each branch, `study.branch_scores` says how far the score of the right class moves if the branch falls
silent, exactly and to first order. From its magnitude |c_b| come

    share of a branch        Σ_i |c_ib| / Σ_i Σ_b |c_ib|        i: the images of about the same size
    filter size of an image  Σ_b |c_b| k_b / Σ_b |c_b|          k = 1, 3, 5 and 3 pixels (1x1, 3x3, 5x5, pool)

and the slope of the filter size over log2 of the object's size: how many pixels larger a filter an object
of twice the size uses. Untrained networks are measured too: what they show is not learned.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minicnn.study.branches import BranchScores
from minicnn.study.experiments.guessing import Guessing
from minicnn.study.experiments.repetitions import Repetitions, mean_over
from minicnn.study.experiments.scale_picture import draw_scale

FILTER_SIZES = np.array([1.0, 3.0, 5.0, 3.0])  # of the branches; the pooling branch looks at its 3x3 window
BINS = 5
METHODS = {"silenced": "silencing", "gradient": "gradient times activation"}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScaleRun:
    """The branches of one network, at initialisation or after training.

    Attributes
    ----------
    seed : int
    trained : bool
    accuracy : float
        On the images measured, 0 to 1.
    sizes : float array of shape (N,)
        Diameters of the objects in pixels.
    scores : BranchScores
        For the same N images.
    """

    seed: int
    trained: bool
    accuracy: float
    sizes: Floats
    scores: BranchScores

    def shares(self, method: str, module: str, edges: Floats) -> Floats:
        """Share of each branch for objects of each bin of sizes, (bins, 4); NaN where there is no object."""
        magnitude = np.abs(getattr(self.scores, method)[module])  # (N, 4)
        bins = np.digitize(self.sizes, edges[1:-1])
        sums = np.array([magnitude[bins == place].sum(axis=0) for place in range(len(edges) - 1)])
        totals = sums.sum(axis=1, keepdims=True)
        return np.divide(sums, totals, out=np.full_like(sums, np.nan), where=totals > 0)

    def slope(self, method: str, module: str) -> float:
        """By how many pixels the filter size grows when the object's size doubles."""
        magnitude = np.abs(getattr(self.scores, method)[module])
        totals = magnitude.sum(axis=1)
        told = totals > 0  # an image that no branch has anything to say about says nothing about branches
        filter_sizes = magnitude[told] @ FILTER_SIZES / totals[told]
        octaves = np.log2(self.sizes[told])
        octaves = octaves - octaves.mean()
        return float(octaves @ filter_sizes / (octaves @ octaves))


@dataclass(frozen=True)
class ScaleExperiment:
    """Networks with several seeds, before and after training. `str()` is the table, with what it says.

    Parameters
    ----------
    runs : tuple of ScaleRun
    classes : int
        What the networks tell apart.
    """

    runs: tuple[ScaleRun, ...]
    classes: int

    @property
    def modules(self) -> list[str]:
        """Paths of the inception modules, in network order."""
        return list(self.runs[0].scores.gradient)

    @property
    def edges(self) -> Floats:
        """Bounds of the bins of sizes, `BINS` + 1 of them, with equal ratios."""
        sizes = np.concatenate([run.sizes for run in self.runs])
        return np.geomspace(sizes.min(), sizes.max(), BINS + 1)

    def of(self, trained: bool) -> list[ScaleRun]:
        """Return the runs before or after training, in the order of their seeds."""
        return sorted((run for run in self.runs if run.trained == trained), key=lambda run: run.seed)

    def slope(self, method: str, module: str, trained: bool = True) -> Repetitions:
        """Pixels of filter size for each doubling of the object."""
        return Repetitions([run.slope(method, module) for run in self.of(trained)])

    def shares(self, method: str, module: str, trained: bool = True) -> Floats:
        """Shares of the branches, (seeds, bins, 4)."""
        return np.array([run.shares(method, module, self.edges) for run in self.of(trained)])

    def __str__(self) -> str:
        edges = self.edges
        small, large = f"{edges[0]:.0f}-{edges[1]:.0f} px", f"{edges[-2]:.0f}-{edges[-1]:.0f} px"
        blocks = []
        for method, words in METHODS.items():
            head = (
                f"{words:26}{'share of 1x1/3x3/5x5/pool, %':^30}  {'filter, pixels for each doubling':>35}\n"
                f"{'module':26}{small:>15}{large:>15}  {'trained':>15} {'verdict':>8} {'untrained':>14}"
            )
            lines = []
            for module in self.modules:
                shares = 100 * self.shares(method, module).mean(axis=0)
                slope = self.slope(method, module)
                lines.append(
                    f"{module:26}{_slashed(shares[0]):>15}{_slashed(shares[-1]):>15}  {slope.text(2):>15} "
                    f"{_verdict(slope):>8} {self.slope(method, module, trained=False).text(2):>14}"
                )
            rule = "-" * max(map(len, [*head.splitlines(), *lines]))
            blocks.append("\n".join([head, rule, *lines, rule]))
        accuracy = Repetitions([100 * run.accuracy for run in self.of(trained=True)])
        title = (
            f"Networks right in {accuracy}% of {len(self.runs[0].sizes):,} new images; "
            f"{mean_over(len(self.of(True)))}"
        )
        return "\n".join([title, *blocks, *self.verdict()])

    @property
    def full_slope(self) -> float:
        """Slope of a module that goes from 1x1 filters for the smallest objects to 5x5 for the largest."""
        return float((FILTER_SIZES.max() - FILTER_SIZES.min()) / np.log2(self.edges[-1] / self.edges[0]))

    def verdict(self) -> list[str]:
        """Say in words what was found, and whether the lectures are right here."""
        lines = [
            "The lectures: larger objects use larger filters. A module that went from 1x1 for the smallest "
            f"objects here to 5x5 for the largest would have a slope of {self.full_slope:.1f} pixels for "
            "each doubling. Found in these networks, on these images, at 95% confidence:"
        ]
        for method, words in METHODS.items():
            slopes = {module: self.slope(method, module) for module in self.modules}
            up, down, open_ = (
                [module for module, slope in slopes.items() if slope.sign == sign] for sign in (1, -1, 0)
            )
            lines.append(
                f"- by {words}: larger filters for larger objects in {_listed(up)}, smaller ones in "
                f"{_listed(down)}, not to be told in {_listed(open_)}: {self._judged(slopes)}."
            )
        guessing = Guessing({"networks": [run.accuracy for run in self.of(trained=True)]}, self.classes)
        return [textwrap.fill(line, 112, subsequent_indent="  ") for line in guessing.judge(lines)]

    def _judged(self, slopes: Mapping[str, Repetitions]) -> str:
        signs = [slope.sign for slope in slopes.values()]
        up, down = signs.count(1), signs.count(-1)
        largest = max(slopes.values(), key=lambda slope: abs(slope.mean))
        size = f"the largest effect is {largest.text(2)} pixels"
        if up + down <= 1:  # of nine or so at 95%
            most = max(slope.interval[1] for slope in slopes.values())
            if most > self.full_slope / 4:
                return f"{size}; chance alone would give as much, so nothing can be said"
            detectable = [slope.detectable for slope in slopes.values()]
            return (
                f"{size}, and no single interval reaches above {most:z.2f}. That modules pick their filters "
                f"by the size of the object is not seen here; slopes of {min(detectable):.2f} to "
                f"{max(detectable):.2f}, depending on the module, would have been seen four times out of five"
            )
        if up > len(signs) / 2 and down == 0:
            return f"{size}; this is what the lectures say"
        if down > len(signs) / 2 and up == 0:
            return f"{size}; this is the opposite of what the lectures say"
        return f"{size}; it depends on the module, which is not what the lectures say"

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single images as what `json.dumps` takes."""
        return {
            "seeds": [run.seed for run in self.of(True)],
            "accuracies": [run.accuracy for run in self.of(True)],
            "size_edges": self.edges.tolist(),
            "methods": {
                method: {
                    module: {
                        when: {
                            "slope": self.slope(method, module, trained).to_json(),
                            "shares": self.shares(method, module, trained).tolist(),
                        }
                        for when, trained in (("trained", True), ("untrained", False))
                    }
                    for module in self.modules
                }
                for method in METHODS
            },
            "verdict": [" ".join(line.split()) for line in self.verdict()],
        }

    def draw(self, path: str | Path) -> None:
        """Draw the shares of the branches over the size of the object, module by module, into a PNG file."""
        panels: Mapping[str, Mapping[str, Floats]] = {
            words: {module: 100 * self.shares(method, module) for module in self.modules}
            for method, words in METHODS.items()
        }
        draw_scale(self.edges, panels, Path(path))


def _slashed(shares: Floats) -> str:
    return "/".join("?" if np.isnan(share) else f"{share:.0f}" for share in shares)


def _verdict(slope: Repetitions) -> str:
    return {1: "larger", -1: "smaller", 0: "?"}[slope.sign]


def _listed(modules: list[str]) -> str:
    if not modules:
        return "no module"
    return ", ".join(module.removeprefix("inception") for module in modules)
