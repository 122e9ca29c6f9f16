"""Do the auxiliary heads bring gradient to where it has vanished? The lecture's argument, measured.

A lecture on GoogLeNet argues: gradient shrinks with every layer that it travels back through; at the start
1e-7 would be left of what comes from the end, against 1e-3 that a head injects half-way. Here several
gradient flows of networks with and without heads, with different activations, before and after training, are
put side by side, and the two numbers are looked up.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn.errors import UsageError
from minicnn.study.attribution import HEADS
from minicnn.study.experiments.guessing import Guessing
from minicnn.study.experiments.injection_picture import draw_injection
from minicnn.study.flow import GradientFlow
from minicnn.study.flow_row import FlowRow, finite
from minicnn.study.flow_table import SHARE

LECTURE_END = 1e-7  # left at the start of what comes from the end
LECTURE_HEADS = 1e-3  # what a head injects half-way
FIRST, EARLY, MIDDLE, LAST = "conv1", "inception3a", "inception4c", "inception5b"


@dataclass(frozen=True)
class Measurement:
    """One network at one moment.

    Attributes
    ----------
    activation : str
        Its non-linearity.
    heads : bool
        Whether it has auxiliary heads.
    trained : bool
        Whether after training; else at initialisation.
    seed : int
    flow : GradientFlow
    accuracy : float
        Of the main head, on images not trained on.
    """

    activation: str
    heads: bool
    trained: bool
    seed: int
    flow: GradientFlow
    accuracy: float

    @property
    def case(self) -> Case:
        """Which case this is a sample of."""
        return Case(self.activation, self.heads, self.trained)

    def block(self, name: str) -> FlowRow:
        """Return the figures of a direct child of the network."""
        for block in self.flow.blocks:
            if block.layer == name:
                return block
        raise UsageError(f"injection: expected a network with a module {name}, got {self.flow.model}")


@dataclass(frozen=True)
class Case:
    """What measurements with different seeds have in common."""

    activation: str
    heads: bool
    trained: bool

    def __str__(self) -> str:
        heads = "with heads" if self.heads else "without"
        return f"{self.activation:<8} {heads:<10}  {'trained' if self.trained else 'at start'}"


@dataclass(frozen=True)
class Spread:
    """Geometric mean of positive numbers, and the factor by which they typically lie above or below it.

    Examples
    --------
    >>> print(Spread.of([1e-4, 1e-6]))
    1.0e-5 ×/÷10
    """

    mean: float
    factor: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise numbers; if one of them is not above zero, or not finite, nothing can be said (NaN)."""
        if not all(0 < value < math.inf for value in values):
            return cls(math.nan, math.nan)
        logs = [math.log(value) for value in values]
        mean = sum(logs) / len(logs)
        return cls(math.exp(mean), math.exp(math.sqrt(sum((log - mean) ** 2 for log in logs) / len(logs))))

    def __str__(self) -> str:
        return f"{short(self.mean)} ×/÷{self.factor:.2g}"


@dataclass(frozen=True)
class Injection:
    """Measurements side by side. `str()` is the table, with what it says about the lecture's argument.

    Parameters
    ----------
    measurements : tuple of Measurement
    classes : int
        What the networks tell apart.
    """

    measurements: tuple[Measurement, ...]
    classes: int

    @property
    def cases(self) -> list[Case]:
        """The different cases, in order."""
        return list(dict.fromkeys(m.case for m in self.measurements))

    def of(self, case: Case) -> list[Measurement]:
        """Return the measurements of one case."""
        return [m for m in self.measurements if m.case == case]

    def size(self, case: Case, block: str, head: str | None = None) -> Spread:
        """Root mean square of a block's gradient, or of the part of it that comes from `head`."""
        rows = [m.block(block) for m in self.of(case)]
        norms = [row.norm if head is None else row.norms[head] for row in rows]
        return Spread.of([norm / math.sqrt(row.size) for norm, row in zip(norms, rows, strict=True)])

    def first_over_last(self, case: Case) -> Spread:
        """How much of a gradient's size is left at the first layer, relative to the last module."""
        return Spread.of([m.block(FIRST).rms / m.block(LAST).rms for m in self.of(case)])

    def heads_over_main(self, case: Case) -> Spread:
        """How many times as large, at the first layer, the heads' part is as what comes from the end."""
        ratios = []
        for m in self.of(case):
            row = m.block(FIRST)
            ratios.append(row.norm_of("aux1", "aux2") / row.norms["main"] if row.norms["main"] else math.inf)
        return Spread.of(ratios)

    def shares(self, case: Case, block: str) -> dict[str, float]:
        """Mean share of each head in a block's gradient."""
        rows = [m.block(block) for m in self.of(case)]
        return {head: sum(row.shares[head] for row in rows) / len(rows) for head in HEADS}

    def __str__(self) -> str:
        seeds = len({m.seed for m in self.measurements})
        head = (
            f"{'':30} {'accuracy':>8}  {'typical gradient of a weight at':^34}  {'conv1':>7}   "
            f"{'share of main/aux1/aux2, %':^23}\n"
            f"{'activation, heads, when':30} {'%':>8}  {'conv1':>16}{'4c':>9}{'5b':>9}  {'/ 5b':>7}   "
            f"{'at conv1':>10}  {'at 3a':>11}"
        )
        lines = []
        for case in self.cases:
            accuracy = 100 * sum(m.accuracy for m in self.of(case)) / len(self.of(case))
            lines.append(
                f"{case!s:30} {accuracy:8.0f}  {self.size(case, FIRST)!s:>16}"
                f"{short(self.size(case, MIDDLE).mean):>9}{short(self.size(case, LAST).mean):>9}  "
                f"{short(self.first_over_last(case).mean):>7}   "
                f"{_slashed(self.shares(case, FIRST)):>10}  {_slashed(self.shares(case, EARLY)):>11}"
            )
        rule = "-" * max(map(len, [*head.splitlines(), *lines]))
        title = f"Root mean square of the weights' gradients, geometric mean over {seeds} seed" + (
            "" if seeds == 1 else "s; ×/÷ is their spread"
        )
        return "\n".join([title, head, rule, *lines, rule, SHARE, *self.verdict()])

    def verdict(self) -> list[str]:
        """Say in words what was found, and whether the lecture's argument holds here."""
        lines = [
            f"The lecture: {LECTURE_END:g} is left at the start of what comes from the end, and a head "
            f"injects {LECTURE_HEADS:g}, {LECTURE_HEADS / LECTURE_END:,.0f} times as much. Found here:"
        ]
        for case in self.cases:
            where = f"- {case.activation}, {'trained' if case.trained else 'at start'}"
            if not case.heads:
                left = self.first_over_last(case).mean
                lines.append(
                    f"{where}, without heads: a weight's gradient in conv1 is {_times(left)} that in 5b: "
                    f"{_judged_depth(left)}"
                )
                continue
            factor = self.heads_over_main(case).mean
            line = f"{where}, with heads: conv1 gets {_times(factor)} as much from the heads as from the end"
            without = Case(case.activation, False, case.trained)
            if without in self.cases:
                more = self.size(case, FIRST).mean / self.size(without, FIRST).mean
                line += f", in all {_times(more)} what it gets in a network without heads"
            lines.append(f"{line}: {_judged(factor)}")
        lines = [f"{line}." if line[0] == "-" else line for line in lines]
        return [textwrap.fill(line, 112, subsequent_indent="  ") for line in [*lines, *self._guessing()]]

    def _guessing(self) -> list[str]:
        """Say which trained networks guess; what is said about gradients at the start holds all the same."""
        trained = {
            f"{case.activation} {'with' if case.heads else 'without'} heads": [
                m.accuracy for m in self.of(case)
            ]
            for case in self.cases
            if case.trained
        }
        groups = Guessing(trained, self.classes).groups
        if not groups:
            return []
        return [
            f"After training still guessing, so not learnt: {groups}; raise --epochs to see whether "
            "they learn."
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as what `json.dumps` takes."""
        return {
            "lecture": {"from_the_end": LECTURE_END, "from_a_head": LECTURE_HEADS},
            "cases": [
                {
                    "activation": case.activation,
                    "heads": case.heads,
                    "trained": case.trained,
                    "seeds": [m.seed for m in self.of(case)],
                    "accuracies": [m.accuracy for m in self.of(case)],
                    "rms": {
                        block: _numbers(self.size(case, block)) for block in (FIRST, EARLY, MIDDLE, LAST)
                    },
                    "first_over_last": _numbers(self.first_over_last(case)),
                    "heads_over_main_at_first": _numbers(self.heads_over_main(case)) if case.heads else None,
                    "shares": {
                        block: {head: finite(share) for head, share in self.shares(case, block).items()}
                        for block in (FIRST, EARLY)
                    },
                    "flows": [m.flow.to_json() for m in self.of(case)],
                }
                for case in self.cases
            ],
            "verdict": [" ".join(line.split()) for line in self.verdict()],
        }

    def draw(self, path: str | Path) -> None:
        """Draw magnitude over depth, a panel for each activation, into a PNG file."""
        blocks = [block.layer for block in self.measurements[0].flow.trunk]
        panels: dict[str, list[tuple[bool, bool, list[list[float]]]]] = {}
        for case in self.cases:
            curves = [[m.block(block).rms for block in blocks] for m in self.of(case)]
            panels.setdefault(case.activation, []).append((case.heads, case.trained, curves))
        draw_injection(blocks, panels, Path(path))


def short(number: float) -> str:
    """Write a number with two digits.

    Examples
    --------
    >>> short(0.00123), short(float("nan"))
    ('1.2e-3', '?')
    """
    if not math.isfinite(number):
        return "?"
    digits, _, exponent = f"{number:.1e}".partition("e")
    return f"{digits}e{int(exponent)}"


def _times(factor: float) -> str:
    if math.isnan(factor):
        return "an unknown number of times"
    return f"{factor:,.3g} times" if 0.01 <= factor < 1e5 else f"{short(factor)} times"


def _judged(factor: float) -> str:
    """Compare how much more comes from the heads with the lecture's factor."""
    if math.isnan(factor):
        return "nothing can be said"
    if factor >= LECTURE_HEADS / LECTURE_END / 10:
        return "this agrees with the lecture"
    if factor > 2:
        return "the heads bring more, as the lecture says, but by a smaller factor"
    if factor > 0.5:
        return "this contradicts the lecture, both bring about the same"
    return "this contradicts the lecture, the end brings more"


def _judged_depth(left: float) -> str:
    """Say whether a gradient shrinks on its way to the start."""
    if math.isnan(left):
        return "nothing can be said"
    if left < 0.1:
        return "gradient vanishes on the way to the start, as the lecture says"
    return "gradient does not vanish on the way to the start, which contradicts the lecture"


def _slashed(shares: dict[str, float]) -> str:
    return "/".join(f"{100 * share:.0f}" for share in shares.values())


def _numbers(spread: Spread) -> dict[str, float] | None:
    return {"mean": spread.mean, "factor": spread.factor} if math.isfinite(spread.mean) else None
