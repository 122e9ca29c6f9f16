"""An array in five numbers, computed in float64 from the engine's own values."""

from __future__ import annotations

import math

import numpy as np

Number = float | str | None  # JSON has no infinity and no "not a number": they become words


def statistics(array: np.ndarray) -> dict[str, Number] | None:
    """Return mean, spread, min, max and norm; None for an array without elements.

    Examples
    --------
    >>> statistics(np.array([[3.0, -4.0]]))
    {'mean': -0.5, 'spread': 3.5, 'min': -4.0, 'max': 3.0, 'norm': 5.0}
    """
    if array.size == 0:
        return None
    values = array.astype(np.float64, copy=False).ravel()
    with np.errstate(all="ignore"):
        return {
            "mean": number(values.mean()),
            "spread": number(values.std()),
            "min": number(values.min()),
            "max": number(values.max()),
            "norm": number(float(np.linalg.norm(values))),
        }


def number(value: float) -> Number:
    """Return a Python float, or a word for what JSON cannot hold.

    Examples
    --------
    >>> number(np.float32(0.5)), number(np.inf)
    (0.5, 'inf')
    """
    return float(value) if math.isfinite(value) else str(float(value))


def products(parts: list[np.ndarray | None]) -> list[list[Number]]:
    """Return the scalar product of each pair of parts of a gradient; None is a part of zeros.

    They are enough to tell the norm of any sum of parts: |a + b|^2 = a.a + 2 a.b + b.b.

    Examples
    --------
    >>> products([np.array([3.0, 4.0]), np.array([1.0, 0.0]), None])
    [[25.0, 3.0, 0.0], [3.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    rows = [None if part is None else part.astype(np.float64, copy=False).ravel() for part in parts]
    with np.errstate(all="ignore"):
        return [[0.0 if a is None or b is None else number(np.dot(a, b)) for b in rows] for a in rows]
