import numpy as np
import pytest

from minicnn.data.outlines import OUTLINES

GRID = np.linspace(-1.5, 1.5, 601, dtype=np.float32)
STEP = 0.005

# Areas in the unit circle, from school geometry.
NOTCH = 0.4 * np.sin(np.pi / 5)
AREAS = {
    "disc": np.pi,
    "ring": np.pi * (1 - 0.25),
    "square": 2.0,
    "triangle": 0.75 * np.sqrt(3),
    "star": 5 * NOTCH,
    "cross": 4 * 2 * 0.97 * 0.24 - (2 * 0.24) ** 2,
    "bar": 4 * 0.97 * 0.24,
}


@pytest.fixture(params=OUTLINES, ids=str)
def outline(request):
    return OUTLINES[request.param]


def distances(outline):
    return outline(*np.meshgrid(GRID, GRID))


def test_keeps_float32(outline):
    assert distances(outline).dtype == np.float32


def test_lies_in_the_unit_circle_and_fills_it(outline):
    u, v = np.meshgrid(GRID, GRID)
    farthest = np.hypot(u, v)[distances(outline) < 0].max()
    assert 0.95 < farthest <= 1.001


def test_is_nowhere_farther_than_the_real_distance(outline):
    """Distances change by at most 1 per unit walked: otherwise edges would look jagged or blurred."""
    d = distances(outline)
    for axis in (0, 1):
        assert np.abs(np.diff(d, axis=axis)).max() < STEP * 1.01


def test_edges_are_as_sharp_as_real_distances(outline):
    """At the outline, the distance does change by 1 per unit walked across it."""
    d = distances(outline)
    slope = np.hypot(*np.gradient(d, STEP))
    edge = np.abs(d) < STEP
    assert np.median(slope[edge]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", AREAS)
def test_area(name):
    coverage = np.clip(0.5 - distances(OUTLINES[name]) / STEP, 0, 1)
    assert coverage.sum() * STEP**2 == pytest.approx(AREAS[name], rel=1e-3)
