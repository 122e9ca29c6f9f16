"""Mistakes about windows are named, in whatever way the loops are written."""

import pytest

from exercise_solutions import attempt, found, read
from wrong_windows import (
    AVERAGE,
    AVERAGES,
    CROP,
    CROPS,
    FIRST,
    MAXIMA,
    MAXIMUM,
    PADDED_AVERAGE,
    PADDED_POOL,
    POOLS,
)


def rewritten(text, changes):
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(("outside", "winners", "crop", "likely"), POOLS, ids=[pool[3] for pool in POOLS])
def test_the_mistake_in_max_pooling_is_named(outside, winners, crop, likely):
    text = PADDED_POOL.replace("OUTSIDE", outside).replace("WINNERS", winners).replace("CROPPED", crop)
    assert likely in read(found("max_pool2d", text)["gx"])


@pytest.mark.parametrize(("crop", "likely"), CROPS)
def test_the_mistake_in_average_pooling_is_named(crop, likely):
    assert likely in read(found("avg_pool2d", PADDED_AVERAGE.replace("CROPPED", crop))["gx"])


def test_an_axis_that_is_missing_is_named():
    lacking = ("gy[n, p, q, c] / count[p, q]", "gy[:, p, q] / count[p, q]")
    whole = ("for n, p, q, c in np.ndindex(gy.shape)", "for p, q in np.ndindex(count.shape)")
    text = rewritten(
        PADDED_AVERAGE, [lacking, whole, ("np.s_[n, ", "np.s_[:, "), ("q * SW + KW, c]", "q * SW + KW]")]
    )
    assert "gy[:, p, q] is (N, C)" in read(found("avg_pool2d", text.replace("CROPPED", CROP))["gx"])


def test_the_order_of_overwriting_does_not_matter():
    by_element = """\
import numpy as np


def backward(gy, x_shape, count, kernel_size, stride, padding):
    (KH, KW), (SH, SW), ((top, bottom), (left, right)) = kernel_size, stride, padding
    (N, H, W, C), (OH, OW) = x_shape, count.shape
    padded = np.zeros((N, top + H + bottom + KH, left + W + right + KW, C), gy.dtype)
    for i in range(KH):
        for j in range(KW):
            taps = np.s_[:, i : i + SH * (OH - 1) + 1 : SH, j : j + SW * (OW - 1) + 1 : SW]
            padded[taps] += gy / count[:, :, None]
    return padded[:, top : top + H, left : left + W]
"""
    assert attempt("avg_pool2d", by_element).passed
    likely = read(found("avg_pool2d", by_element.replace("+=", "="))["gx"])
    assert likely == "a pixel in several windows keeps the share of the last one"


def test_padded_pools_are_right_without_the_mistakes():
    text = PADDED_POOL.replace("OUTSIDE", "-np.inf").replace("WINNERS", FIRST).replace("CROPPED", CROP)
    assert attempt("max_pool2d", text).passed
    assert attempt("avg_pool2d", PADDED_AVERAGE.replace("CROPPED", CROP)).passed


@pytest.mark.parametrize(("changes", "likely"), AVERAGES)
def test_average_pooling_in_loops(changes, likely):
    assert likely in read(found("avg_pool2d", rewritten(AVERAGE, changes))["gx"])


@pytest.mark.parametrize(("changes", "likely"), MAXIMA)
def test_max_pooling_in_loops(changes, likely):
    assert likely in read(found("max_pool2d", rewritten(MAXIMUM, changes))["gx"])


def test_loops_are_right_without_the_mistakes():
    assert attempt("avg_pool2d", AVERAGE).passed
    assert attempt("max_pool2d", MAXIMUM).passed
