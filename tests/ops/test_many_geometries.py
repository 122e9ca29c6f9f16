"""Every op on shapes that Hypothesis comes up with, against its plain loops and against difference quotients.

The default run tries a few of each op; the long one (`make test-all`) 20,000 in all, new ones every time.
"""

import numpy as np
import pytest
from hypothesis import given, settings

from minicnn import gradcheck
from minicnn.op_cases import CASES
from op_geometries import GEOMETRIES
from op_runs import assert_gradients_match, cotangent, run, threads, tile_bytes

IN_ALL = 20_000
OF_EACH_OP = -(-IN_ALL // len(CASES))


def check(name, sample):
    """Compare values and exact derivatives, in tiny tiles on three threads too; then difference quotients."""
    case, inputs = CASES[name], sample.inputs
    y, gradients = run(case.function, inputs, sample.settings)
    expected = case.reference(*inputs, **sample.settings)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    rng = np.random.default_rng(y.size)
    assert_gradients_match(case.reference, inputs, sample.settings, cotangent(y), gradients, rng)

    with tile_bytes(16), threads(3):
        tiled = run(case.function, inputs, sample.settings)
    np.testing.assert_allclose(tiled.y, y, rtol=1e-12, atol=1e-12)
    for gradient, other in zip(tiled.gradients, gradients, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-11, atol=1e-12)

    report = gradcheck(lambda *xs: case.function(*xs, **sample.settings), inputs, samples=2, rng=rng)
    assert report, str(report)


def test_every_op_has_geometries():
    assert set(GEOMETRIES) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_few_geometries(name):
    @settings(max_examples=10)
    @given(GEOMETRIES[name])
    def each(sample):
        check(name, sample)

    each()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_20000_geometries(name, capsys):
    """Each op's share; every run tries others, and a failure prints how to repeat it."""
    tried = 0

    @settings(max_examples=OF_EACH_OP, derandomize=False, deadline=None, print_blob=True)
    @given(GEOMETRIES[name])
    def each(sample):
        nonlocal tried
        check(name, sample)
        tried += 1

    each()
    with capsys.disabled():
        print(f"\n{name}: {tried:,} geometries", end=" ")
    assert tried >= OF_EACH_OP
