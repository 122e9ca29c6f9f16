"""The ten shapes of the embedded data set, each as a signed distance.

A signed distance function says how far a point lies outside an outline (negative: inside). It draws
without jagged edges, because a pixel whose centre lies d pixels outside is covered by about 1/2 - d, and it
can be evaluated for all pixels of many images at once.

Every shape lies in the unit circle and touches it; u points right and v points down. Away from the outline
some distances are too small (a corner counts as the nearest of its two edges), where they make no difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Coordinates = npt.NDArray[np.floating]


def disc(u: Coordinates, v: Coordinates) -> Coordinates:
    """A filled circle."""
    return np.hypot(u, v) - 1


def ring(u: Coordinates, v: Coordinates) -> Coordinates:
    """A circle with a hole of half its size."""
    return np.abs(np.hypot(u, v) - 0.75) - 0.25


def square(u: Coordinates, v: Coordinates) -> Coordinates:
    """A square with its corners on the circle."""
    return _box(u, v, math.sqrt(0.5), math.sqrt(0.5))


def triangle(u: Coordinates, v: Coordinates) -> Coordinates:
    """An equilateral triangle with its corners on the circle."""
    slope = math.sqrt(0.75)
    return np.maximum(v, slope * np.abs(u) - 0.5 * v) - 0.5


def star(u: Coordinates, v: Coordinates) -> Coordinates:
    """A star with five points."""
    tenth = math.pi / 5  # of the full circle: from a point to the notch beside it
    inner_radius = 0.4
    angle = np.abs(np.mod(np.arctan2(u, -v) + tenth, 2 * tenth) - tenth)  # 0 at a point, `tenth` at a notch
    radius = np.hypot(u, v)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    notch_along, notch_across = inner_radius * math.cos(tenth), inner_radius * math.sin(tenth)
    edge = math.hypot(1 - notch_along, notch_across)
    return (notch_across * (along - 1) + (1 - notch_along) * across) / edge


def cross(u: Coordinates, v: Coordinates) -> Coordinates:
    """A plus sign."""
    return np.minimum(_box(u, v, 0.97, 0.24), _box(u, v, 0.24, 0.97))


def bar(u: Coordinates, v: Coordinates) -> Coordinates:
    """A bar, four times as long as it is wide."""
    return _box(u, v, 0.97, 0.24)


def crescent(u: Coordinates, v: Coordinates) -> Coordinates:
    """A disc without the part that another disc covers."""
    return np.maximum(np.hypot(u, v) - 1, 0.85 - np.hypot(u - 0.55, v))


def dumbbell(u: Coordinates, v: Coordinates) -> Coordinates:
    """Two small discs and a rod between them."""
    discs = np.hypot(np.abs(u) - 0.6, v) - 0.4
    return np.minimum(discs, _box(u, v, 0.6, 0.14))


def arrow(u: Coordinates, v: Coordinates) -> Coordinates:
    """An arrow, its head almost as wide as the whole is long."""
    head = np.maximum(v - 0.2, (1.2 * np.abs(u) - 0.95 * v - 0.95) / math.hypot(1.2, 0.95))
    shaft = _box(u, v - 0.5, 0.24, 0.46)
    return np.minimum(head, shaft)


def _box(u: Coordinates, v: Coordinates, half_width: float, half_height: float) -> Coordinates:
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


OUTLINES: dict[str, Callable[[Coordinates, Coordinates], Coordinates]] = {
    outline.__name__: outline
    for outline in (disc, ring, square, triangle, star, cross, bar, crescent, dumbbell, arrow)
}
