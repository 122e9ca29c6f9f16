"""The figures of one layer's gradient: how large it is, and which head it comes from.

A layer's weight and bias are taken together, as one long vector: a step of training moves both. All figures
of a layer follow from the products of the three parts p of its gradient (see `attribution`),

    P[a, b] = p_a . p_b            a, b in main, aux1, aux2

which add up when layers are taken together, so a whole module has the same figures as a layer:

    norm of a part       |p_a| = sqrt(P[a, a])
    norm of the whole    |g|   = sqrt(sum of P)
    share of a part      |p_a| / (|p_main| + |p_aux1| + |p_aux2|)
    cosine of two parts  P[a, b] / (|p_a| |p_b|)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.backend import Array, to_numpy
from minicnn.study.attribution import HEADS, Parts

PAIRS = tuple(itertools.combinations(HEADS, 2))


@dataclass(frozen=True)
class FlowRow:
    """The gradient of one layer, or of several together.

    Attributes
    ----------
    layer : str
        Path of the module that has the parameters.
    size : int
        Number of weights and biases.
    weight_norm : float
        Euclidean norm of the weights and biases themselves.
    norm : float
        Of the whole gradient.
    products : array of shape (3, 3)
        Scalar products of the parts from main, aux1 and aux2 with each other.
    """

    layer: str
    size: int
    weight_norm: float
    norm: float
    products: np.ndarray

    @property
    def norms(self) -> dict[str, float]:
        """Norm of the part that comes from each head."""
        return dict(zip(HEADS, np.sqrt(np.diagonal(self.products)).tolist(), strict=True))

    def norm_of(self, *heads: str) -> float:
        """Norm of what comes from several heads together."""
        places = [HEADS.index(head) for head in heads]
        return math.sqrt(max(0.0, float(self.products[np.ix_(places, places)].sum())))

    @property
    def shares(self) -> dict[str, float]:
        """Norm of each part, divided by the sum of the three norms; all zero without a gradient."""
        total = sum(self.norms.values())
        return {head: norm / total if total else 0.0 for head, norm in self.norms.items()}

    @property
    def cosines(self) -> dict[str, float | None]:
        """Cosine of the angle between parts, as "main-aux1" and so on; None where one of them is zero."""
        norms = self.norms
        return {
            f"{a}-{b}": _cosine(self.products[HEADS.index(a), HEADS.index(b)], norms[a] * norms[b])
            for a, b in PAIRS
        }

    @property
    def rms(self) -> float:
        """Root mean square of the gradient's elements: the size of a typical one."""
        return self.norm / math.sqrt(self.size)

    @property
    def ratio(self) -> float | None:
        """Norm of the gradient over that of the weights; None if all weights are zero."""
        return self.norm / self.weight_norm if self.weight_norm else None

    def to_json(self) -> dict[str, Any]:
        """Return all figures; numbers that JSON does not have (infinities, NaN) as None."""
        return {
            "layer": self.layer,
            "parameters": self.size,
            "norm": finite(self.norm),
            "rms": finite(self.rms),
            "norms": {head: finite(norm) for head, norm in self.norms.items()},
            "shares": {head: finite(share) for head, share in self.shares.items()},
            "cosines": {pair: finite(cosine) for pair, cosine in self.cosines.items()},
            "weight_norm": finite(self.weight_norm),
            "gradient_to_weight": finite(self.ratio),
        }


def measure(layer: str, weights: Array, of_heads: Parts) -> FlowRow:
    """Measure the parts of the gradient of one parameter."""
    # In float64: squares of small float32 numbers are too small for float32.
    parts = np.array([to_numpy(of_heads[head]).ravel() for head in HEADS], np.float64)
    own = to_numpy(weights).astype(np.float64)
    whole = parts.sum(axis=0)
    return FlowRow(layer, own.size, _norm(own), _norm(whole), parts @ parts.T)


def together(name: str, rows: Sequence[FlowRow]) -> FlowRow:
    """Take layers together as if their parameters were one long vector."""
    return FlowRow(
        name,
        sum(row.size for row in rows),
        math.hypot(*(row.weight_norm for row in rows)),
        math.hypot(*(row.norm for row in rows)),
        np.sum([row.products for row in rows], axis=0),
    )


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array.ravel()))


def _cosine(product: float, norms: float) -> float | None:
    return float(np.clip(product / norms, -1.0, 1.0)) if norms else None


def finite(number: float | None) -> float | None:
    """Return a number that JSON has, or None."""
    return None if number is None or not math.isfinite(number) else float(number)
