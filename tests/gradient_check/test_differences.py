"""How an error moves with the step width, and what the tolerances leave room for."""

import numpy as np
import pytest

from minicnn.gradient_check.differences import (
    Settings,
    choose_coordinates,
    random_cotangent,
    resolution,
    stays,
)


def at(*errors, largest=1e-4):
    return tuple((largest / 10**i, error) for i, error in enumerate(errors))


@pytest.mark.parametrize(
    ("errors", "stay"),
    [
        ((0.5, 0.5, 0.5, 0.5), True),
        ((-0.5, -0.51, -0.52, -0.5), True),
        ((0.9, 0.5, 0.5, 0.5), True),  # truncation at the largest step on top
        ((0.5, 0.5, 0.5, -3.0), True),  # rounding at the smallest step on top
        ((1e-8, 1e-10, 1e-11, 1e-10), False),  # truncation, then rounding
        ((1e-12, 1e-11, 1e-10, 1e-9), False),  # rounding
        ((1e-2, 1e-4, 1e-6, 1e-8), False),  # truncation
        ((0.5, -0.5, 0.5, -0.5), False),
        ((0.5, 0.8, 0.5, 0.8), False),
        ((0.0, 0.0, 0.0, 0.0), False),
        ((0.5, 0.5), False),  # kinks took the other step widths
        ((), False),
        ((np.nan, np.nan, np.nan), False),
    ],
)
def test_an_error_stays_if_it_is_the_same_at_three_neighbouring_steps(errors, stay):
    assert stays(at(*errors)) is stay


def test_an_error_below_the_resolution_does_not_count():
    assert stays(at(1e-9, 1e-9, 1e-9), resolution=0.99e-13)
    assert not stays(at(1e-9, 1e-9, 1e-9), resolution=1.01e-13)


def test_resolution_is_a_rounding_error_of_each_output():
    one = np.finfo(np.float64).eps
    assert resolution(np.array([0.0, 1.0, -4.0]), np.array([1.0, -1.0, 0.5])) == pytest.approx(4 * one)


def test_tolerances():
    settings = Settings(eps=1e-6, atol=1e-3, rtol=1e-2)
    assert not settings.disagree(10.1009, 10.0)
    assert settings.disagree(10.1011, 10.0)
    assert settings.disagree(np.nan, 10.0)
    assert settings.disagree(1.0, np.nan)
    assert settings.excess(10.101, 10.0, scale=10.0) == pytest.approx(2)
    assert settings.excess(1e-6, 0.0, scale=1e-3) == pytest.approx(2)
    assert Settings(1e-6, 0.0, 0.0).excess(1.0, 1.0, scale=1.0) == 0
    assert Settings(1e-6, 0.0, 0.0).excess(1.1, 1.0, scale=1.0) == np.inf


def test_errors_by_eps_leave_out_kinks():
    settings = Settings(eps=1e-6, atol=0.0, rtol=0.0)
    errors = settings.errors_by_eps(3.0, lambda eps: None if eps > 5e-5 else 2.0 + eps)
    assert [eps for eps, _ in errors] == pytest.approx([1e-5, 1e-6, 1e-7])
    assert [error for _, error in errors] == pytest.approx([1 - 1e-5, 1 - 1e-6, 1 - 1e-7])


def test_cotangents_are_of_both_signs_and_never_small(rng):
    gy = random_cotangent((50, 20), rng)
    assert gy.shape == (50, 20)
    assert 0.5 <= np.abs(gy).min() < 0.6
    assert 1.4 < np.abs(gy).max() <= 1.5
    assert 0.4 < (gy > 0).mean() < 0.6
    assert random_cotangent((), rng).shape == ()


def test_coordinates(rng):
    assert choose_coordinates((2, 2), None, rng) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert choose_coordinates((2, 2), 4, rng) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert choose_coordinates((), 5, rng) == [()]
    assert choose_coordinates((0, 3), None, rng) == []
    drawn = choose_coordinates((10, 10), 40, rng)
    assert len(set(drawn)) == 40
    assert drawn == sorted(drawn)
