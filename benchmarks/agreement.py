"""Do all contenders compute the same? Compared by the losses of the first steps.

The first loss shows the forward pass, the third, after two updates, the gradients and SGD. Losses are means
over the batch of numbers computed in float32 through some twenty layers of products; each product adds up at
most a few thousand terms in an order of its own, which moves it by some 1e-7 to 1e-6 of its size. Frameworks
that compute the same differ by up to about 1e-6 in the loss. A pooling window off by one, a head left out, a
bias forgotten or LRN with alpha not divided by its size changes a loss by 1e-4 or more, and two updates move
it by 1e-3 to 1e-1, which is what has to come out alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.errors import BenchmarkError

TOLERANCE = 2e-5


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
