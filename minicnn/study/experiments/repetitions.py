"""What can be said from a few repetitions with different seeds: mean, spread, and whether zero is likely.

For n numbers with mean m and standard deviation s (of a sample: divided by n - 1), the mean of the
distribution they come from lies, with a confidence of 95% and if that is a normal one, in

    m ± t s / √n                t: 97.5% quantile of Student's distribution with n - 1 degrees of freedom

(Student 1908). For two ways to train, the numbers are differences within a seed: the networks began with the
same weights and saw the same images in the same order, and what a seed does to both alike cancels.

An effect is seen if that interval leaves out zero. Four times out of five this happens if it is as large as

    (t + u) s / √n              u: 80% quantile of the same distribution

(a rule of thumb; for the two or three numbers for which it is too small by a little, nothing is seen anyway).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# For 1, 2, 3, ... degrees of freedom; any table of Student's distribution has them. Beyond, the last one is
# taken, which makes intervals a little too wide.
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip

U_QUANTILES = (
    1.376, 1.061, 0.978, 0.941, 0.920, 0.906, 0.896, 0.889, 0.883, 0.879,
    0.876, 0.873, 0.870, 0.868, 0.866, 0.865, 0.863, 0.862, 0.861, 0.860,
)  # fmt: skip


@dataclass(frozen=True)
class Repetitions:
    """The same quantity, measured once for each seed.

    Parameters
    ----------
    values : sequence of float

    Examples
    --------
    >>> accuracies = Repetitions([91.0, 93.0, 92.0])
    >>> accuracies.mean, accuracies.deviation
    (92.0, 1.0)
    >>> print(accuracies)
    92.0 ± 1.0
    >>> gain = Repetitions([1.0, 3.0, 2.0])
    >>> [round(end, 2) for end in gain.interval], gain.sign
    ([-0.48, 4.48], 0)
    """

    values: tuple[float, ...]

    def __init__(self, values: Sequence[float]) -> None:
        object.__setattr__(self, "values", tuple(map(float, values)))

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation of the sample; NaN for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean of endlessly many lies, with a confidence of 95%; anywhere for a single value."""
        if len(self.values) < 2:
            return (-math.inf, math.inf)
        half = self._quantile(T_QUANTILES) * self._error
        return (self.mean - half, self.mean + half)

    @property
    def detectable(self) -> float:
        """How large the true mean has to be for its interval to leave out zero, four times out of five."""
        if len(self.values) < 2:
            return math.inf
        return (self._quantile(T_QUANTILES) + self._quantile(U_QUANTILES)) * self._error

    def _quantile(self, table: tuple[float, ...]) -> float:
        return table[min(len(self.values) - 2, len(table) - 1)]

    @property
    def _error(self) -> float:
        """Standard error of the mean."""
        return self.deviation / math.sqrt(len(self.values))

    @property
    def sign(self) -> int:
        """1 or -1 if the interval lies on one side of zero, else 0: then it cannot be told."""
        low, high = self.interval
        return (low > 0) - (high < 0)

    def __str__(self) -> str:
        return self.text(1)

    def text(self, digits: int) -> str:
        """Write mean and standard deviation with so many digits after the point."""
        spread = "" if math.isnan(self.deviation) else f" ± {self.deviation:.{digits}f}"
        return f"{self.mean:z.{digits}f}{spread}"  # z: no -0.0

    def to_json(self) -> dict[str, Any]:
        """Return everything as what `json.dumps` takes."""
        several = len(self.values) > 1
        return {
            "mean": self.mean,
            "deviation": self.deviation if several else None,
            "interval": list(self.interval) if several else None,
            "values": list(self.values),
        }


def minus(first: Repetitions, second: Repetitions) -> Repetitions:
    """Subtract within each seed.

    Examples
    --------
    >>> minus(Repetitions([5.0, 7.0]), Repetitions([1.0, 2.0])).values
    (4.0, 5.0)
    """
    return Repetitions([a - b for a, b in zip(first.values, second.values, strict=True)])


def mean_over(seeds: int) -> str:
    """Say what the numbers of a table are.

    Examples
    --------
    >>> mean_over(1), mean_over(3)
    ('one seed', 'mean over 3 seeds ± standard deviation')
    """
    return "one seed" if seeds == 1 else f"mean over {seeds} seeds ± standard deviation"
