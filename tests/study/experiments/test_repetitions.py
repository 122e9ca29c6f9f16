"""Means over seeds, and what may be said from them."""

import math

import numpy as np
import pytest

from minicnn.study.experiments.repetitions import T_QUANTILES, U_QUANTILES, Repetitions, minus


def test_against_the_definition():
    values = np.random.default_rng(0).normal(3.0, 2.0, 6)
    found = Repetitions(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.deviation == pytest.approx(values.std(ddof=1))
    low, high = found.interval
    assert (high - low) / 2 == pytest.approx(2.571 * values.std(ddof=1) / math.sqrt(6)), (
        "5 degrees of freedom"
    )
    assert (low + high) / 2 == pytest.approx(values.mean())


def test_one_value_says_nothing_about_others():
    single = Repetitions([5.0])
    assert single.sign == 0
    assert single.interval == (-math.inf, math.inf)
    assert single.detectable == math.inf
    assert str(single) == "5.0"
    assert single.to_json() == {"mean": 5.0, "deviation": None, "interval": None, "values": [5.0]}


@pytest.mark.parametrize(
    ("values", "sign"),
    [([1.0, 1.1, 0.9], 1), ([-1.0, -1.1, -0.9], -1), ([1.0, -1.0, 0.1], 0), ([0.0, 0.0], 0)],
)
def test_sign(values, sign):
    assert Repetitions(values).sign == sign


@pytest.mark.parametrize("n", [2, 3, 6, 21])
def test_how_often_the_interval_is_right(n):
    """What the quantiles are for: of many samples, 95% of the intervals have the true mean in them."""
    samples = np.random.default_rng(n).normal(1.0, 3.0, (4000, n))
    hits = sum(low < 1.0 < high for low, high in (Repetitions(sample).interval for sample in samples))
    assert hits / len(samples) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize("n", [4, 6, 10, 21])
def test_how_often_an_effect_is_seen(n):
    """Of many samples whose true mean is what `detectable` says, four in five do not include zero."""
    samples = np.random.default_rng(n).normal(0.0, 3.0, (4000, n))
    deviation = Repetitions([3.0 * math.sqrt(n - 1) * side for side in (-0.5, 0.5)] + [0.0] * (n - 2))
    effect = deviation.detectable * 3.0 / deviation.deviation
    seen = sum(Repetitions(sample + effect).sign == 1 for sample in samples)
    assert seen / len(samples) == pytest.approx(0.8, abs=0.035)


def test_the_quantiles_fall_towards_those_of_the_normal_distribution():
    for table, limit in ((T_QUANTILES, 1.96), (U_QUANTILES, 0.8416)):
        assert np.all(np.diff(table) < 0)
        assert limit < table[-1] < 1.1 * limit
    assert len(T_QUANTILES) == len(U_QUANTILES)


def test_differences_are_within_a_seed():
    noise = np.random.default_rng(0).normal(0, 50, 5)
    first, second = Repetitions(noise + 1), Repetitions(noise)
    assert Repetitions(first.values).sign == 0
    assert minus(first, second).sign == 1
