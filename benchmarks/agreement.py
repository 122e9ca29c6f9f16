"""Do all contenders compute the same? Compared by the losses of the first steps.

The first loss shows the forward pass; the third, after two updates, the gradients and SGD.

Why 1e-5. Losses are means over a batch, computed in float32 through some twenty layers, each of which adds up
its products in an order of its own. That moves a loss by a few times 1e-7 of its size (at most 2e-7 was seen
in first losses), and the two updates, which change it by 0.5% (W2) to 12% (W3), blow the difference up to
3e-6. What would make a comparison unfair stands out against that: without LRN, which is the smallest part of
the network, the first loss changes by 2e-5 (W2) to 5e-4 (W3-1).
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.errors import BenchmarkError

TOLERANCE = 1e-5


def worst_difference(expected: Sequence[float], values: Sequence[float]) -> float:
    """Return the largest relative difference; NaN and infinite losses differ from everything."""
    differences = [abs(v - e) / abs(e) for e, v in zip(expected, values, strict=True)]
    return max(d if d == d else float("inf") for d in differences)


def check(what: str, expected: Sequence[float], values: Sequence[float]) -> float:
    """Refuse a contender whose losses are not minicnn's.

    Parameters
    ----------
    what : str
        Who and where, for the message.
    expected, values : sequence of float
        minicnn's losses of the first steps, and the contender's.

    Returns
    -------
    float
        Largest relative difference.

    Raises
    ------
    BenchmarkError
        If it is larger than TOLERANCE.
    """
    worst = worst_difference(expected, values)
    if worst > TOLERANCE:
        raise BenchmarkError(
            f"{what}: expected minicnn's losses {_listed(expected)} within {TOLERANCE:g}, "
            f"got {_listed(values)}: it does not compute the same, so its time means nothing"
        )
    return worst


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6f}" for value in values)
