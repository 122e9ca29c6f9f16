"""Difference quotients, and when a gradient disagrees with them.

For a function y = f(x) and a fixed random cotangent gy of y's shape, L(x) = <gy, f(x)> is one number whose
gradient backward(gy) claims to be. Its coordinate i is compared with the central difference quotient

    (L(x + eps e_i) - L(x - eps e_i)) / 2 eps  =  dL/dx_i + eps^2 / 6 * L''' + rounding(L) / eps

A wrong gradient disagrees by an amount that does not depend on eps. The quotient's own error does: it
falls a hundredfold where eps falls tenfold (truncation), or grows tenfold (rounding). That is how the
two are told apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.errors import UsageError

# Multiples of eps at which an error is looked at again: for the default eps, 1e-4 to 1e-7.
STEP_WIDTHS = (100, 10, 1, 0.1)

# At so many of them in a row an error has to be the same to count as one that stays.
NEIGHBOURS = 3

# Difference quotients to the left and to the right.
Slopes = tuple[float, float]

# (eps, what backward says minus the quotient at that eps) for several eps, largest first
ErrorsByEps = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Settings:
    """Step width and tolerances of a check."""

    eps: float
    atol: float
    rtol: float

    def __post_init__(self) -> None:
        if not self.eps > 0:
            raise UsageError(f"gradcheck: eps: expected a step width greater than 0, got {self.eps!r}")
        for name in ("atol", "rtol"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"gradcheck: {name}: expected at least 0, got {getattr(self, name)!r}")

    def disagree(self, analytic: float, numeric: float) -> bool:
        """Tell whether the two differ by more than atol + rtol * |numeric| (or are not numbers)."""
        return not abs(analytic - numeric) <= self.atol + self.rtol * abs(numeric)

    def excess(self, analytic: float, numeric: float, scale: float) -> float:
        """Return the disagreement as a multiple of what may be left of it if the quotient is exact.

        Half of the tolerance is meant for the error of the quotient; if that turns out to be small, only
        the other half is left for the gradient. And where all gradients of an input are small, its
        `scale` (the largest of them) makes the absolute tolerance smaller too: it shall not hide them.
        """
        allowed = (self.atol * min(1.0, scale) + self.rtol * abs(numeric)) / 2
        error = abs(analytic - numeric)
        return error / allowed if allowed > 0 else (np.inf if error > 0 else 0.0)

    def errors_by_eps(self, analytic: float, quotient: Callable[[float], float | None]) -> ErrorsByEps:
        """Measure the disagreement at several step widths; `quotient(eps)` is None where there is a kink."""
        numerics = [(eps, quotient(eps)) for eps in self.widths]
        return tuple((eps, analytic - numeric) for eps, numeric in numerics if numeric is not None)

    @property
    def widths(self) -> list[float]:
        """Step widths at which an error is looked at again, largest first."""
        return [self.eps * factor for factor in STEP_WIDTHS]

    def at_a_kink(self, analytic: float, slopes: Callable[[float], Slopes | None], resolution: float) -> bool:
        """Tell whether the slopes on both sides differ however small the step, with `analytic` in between.

        Where a function is smooth they differ by eps * L'', which falls with eps. `slopes(eps)` is None
        where there is a kink that the function declares.
        """
        measured = [(eps, sides) for eps in self.widths if (sides := slopes(eps)) is not None]
        if not stays(tuple((eps, right - left) for eps, (left, right) in measured), resolution):
            return False
        low, high = sorted(measured[-1][1])
        return low <= analytic <= high or not (self.disagree(analytic, low) and self.disagree(analytic, high))


def stays(errors: ErrorsByEps, resolution: float = 0.0) -> bool:
    """Tell whether an error is the same, to a fifth, at three neighbouring step widths.

    A change of the output by less than `resolution` may be lost in rounding, at one step width like at
    the next: an error that small says nothing.
    """
    for start in range(len(errors) - NEIGHBOURS + 1):
        neighbours = errors[start : start + NEIGHBOURS]
        values = [error for _, error in neighbours]
        largest_eps = neighbours[0][0]
        smallest = min(map(abs, values))
        alike = all(abs(a - b) <= 0.2 * smallest for a, b in itertools.combinations(values, 2))
        if alike and smallest * largest_eps > resolution:
            return True
    return False


def resolution(y: np.ndarray, cotangent: np.ndarray) -> float:
    """Return by how much <cotangent, y> has to change for the change to be seen in float64.

    Values are taken to be at least 1: a small y may be the difference of larger numbers.
    """
    return float(np.finfo(np.float64).eps * (np.abs(cotangent) * np.maximum(np.abs(y), 1)).sum())


def random_cotangent(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw numbers from ±[0.5, 1.5]: of both signs, and none so small that it could hide an error."""
    return rng.uniform(0.5, 1.5, tuple(shape)) * rng.choice([-1.0, 1.0], tuple(shape))


def choose_coordinates(
    shape: tuple[int, ...], samples: int | None, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """Return all coordinates of an array, or `samples` of them, drawn without repetition, in order."""
    size = int(np.prod(shape))
    if samples is None or samples >= size:
        chosen = np.arange(size)
    else:
        chosen = np.sort(rng.choice(size, samples, replace=False))
    if not shape:
        return [()]
    return list(zip(*(axis.tolist() for axis in np.unravel_index(chosen, shape)), strict=True))
