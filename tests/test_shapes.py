"""Integers in, integers out: pairs, paddings, windows and where they stop."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given

from minicnn import ShapeError
from minicnn.op_cases.pooling import window_starts
from minicnn.shapes import axis_number, check_image_batch, integer, padding_pairs, pair, window
from strategies import geometries, many_examples


@pytest.mark.parametrize("spelling", [3, np.int32(3), np.uint8(3), (3, 3), [3, 3], (np.int64(3), 3)])
def test_sizes_can_be_spelled_in_many_ways(spelling):
    found = pair("op", "size", spelling, minimum=0)
    assert found == (3, 3)
    assert [type(size) for size in found] == [int, int]
    assert padding_pairs("op", spelling) == ((3, 3), (3, 3))


@pytest.mark.parametrize(
    "spelling", [((1, 2), (3, 4)), [[1, 2], [3, 4]], ([1, 2], (np.int8(3), 4)), [(1, np.int64(2)), (3, 4)]]
)
def test_paddings_can_be_spelled_side_by_side(spelling):
    assert padding_pairs("op", spelling) == ((1, 2), (3, 4))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: integer("op", "size", 1.0, 0), "op: size: expected a whole number, got 1.0"),
        (lambda: integer("op", "size", True, 0), "op: size: expected a whole number, got True"),
        (lambda: integer("op", "size", None, 0), "op: size: expected a whole number, got None"),
        (lambda: integer("op", "size", np.float32(2), 0), "op: size: expected a whole number, got"),
        (lambda: integer("op", "size", -1, 0), "op: size: expected at least 0, got -1"),
        (
            lambda: pair("op", "size", (1, 2, 3), 0),
            "op: size: expected an int or a pair (vertical, horizontal), got",
        ),
        (
            lambda: pair("op", "size", [1], 0),
            "op: size: expected an int or a pair (vertical, horizontal), got [1]",
        ),
        (lambda: pair("op", "size", "12", 0), "op: size: expected a whole number, got '12'"),
        (lambda: pair("op", "size", (1, 0), 1), "op: size: expected at least 1, got 0"),
        (lambda: padding_pairs("op", ((1, 2), 3)), "op: padding: expected"),
        (
            lambda: padding_pairs("op", ((1, 2), (3,))),
            "op: padding: expected an int or a pair (vertical, horizontal)",
        ),
        (lambda: padding_pairs("op", (1, -1)), "op: padding: expected at least 0, got -1"),
        (lambda: axis_number("op", 2, (3, 4)), "op: axis: expected an axis of shape (3, 4), got 2"),
        (lambda: axis_number("op", 0, ()), "op: axis: expected an axis of shape (), got 0"),
        (
            lambda: check_image_batch("op", (4, 4, 3)),
            "op: x: expected a batch of images (N, H, W, C), got shape (4,",
        ),
        (lambda: check_image_batch("op", (0, 4, 4, 3)), "got an empty batch: (0, 4, 4, 3)"),
        (lambda: check_image_batch("op", (1, 4, 4, 0)), "got C = 0: (1, 4, 4, 0)"),
        (lambda: window("op", (4, 5), 6, 1, 0), "the height of the padded image, 4 + 0 + 0 = 4, got 6"),
        (lambda: window("op", (4, 5), (4, 6), 1, 0), "the width of the padded image, 5 + 0 + 0 = 5, got 6"),
        (lambda: window("op", (0, 5), 1, 1, 3), "op: x: expected at least one pixel of height, got 0"),
    ],
)
def test_what_is_no_size_is_explained(call, words):
    with pytest.raises(ShapeError, match="^.*" + re.escape(words)):
        call()


def test_axes_count_from_either_end():
    assert [axis_number("op", axis, (3, 4)) for axis in (0, 1, -1, -2, np.int64(-1))] == [0, 1, 1, 0, 1]


@many_examples
@given(geometry=geometries(pooling=True))
def test_windows_stop_where_counting_says(geometry):
    (H, W), (KH, KW) = geometry.image, geometry.kernel_size
    w = window(
        "op", geometry.image, geometry.kernel_size, geometry.stride, geometry.padding, geometry.ceil_mode
    )
    rows, columns = window_starts(
        H, W, geometry.kernel_size, geometry.stride, geometry.padding, geometry.ceil_mode
    )
    assert (len(rows), len(columns)) == (w.OH, w.OW)
    # Every tap meets, in the padded image, the pixel that the window's start says.
    assert w.top + H + w.bottom <= w.PH
    assert w.left + W + w.right <= w.PW
    for i, j in np.ndindex(KH, KW):
        taps_down, taps_across = w.taps(i, j)
        assert list(range(w.PH))[taps_down] == [start + w.top + i for start in rows]
        assert list(range(w.PW))[taps_across] == [start + w.left + j for start in columns]
    assert list(range(w.PH))[w.image[0]] == [w.top + h for h in range(H)]
    assert list(range(w.PW))[w.image[1]] == [w.left + h for h in range(W)]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "ceil", "expected"),
    [
        (224, 7, 2, 3, False, 112),  # conv1 of GoogLeNet
        (112, 3, 2, 0, True, 56),  # its max pools: 55 without ceil mode
        (112, 3, 2, 0, False, 55),
        (56, 3, 2, 0, True, 28),
        (28, 3, 2, 0, True, 14),
        (14, 3, 2, 0, True, 7),
        (14, 5, 3, 0, False, 4),  # pooling of the heads
        (28, 3, 1, 1, False, 28),  # pooling branch of an inception module
        (2, 2, 2, 1, True, 2),  # a third window would start in the padding
        (1, 1, 1, 0, False, 1),
    ],
)
def test_output_sizes(size, kernel, stride, padding, ceil, expected):
    w = window("op", (size, size), kernel, stride, padding, ceil)
    assert (expected, expected) == (w.OH, w.OW)
    assert w.is_pointwise == (kernel == 1)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_where_windows_meet_the_image(ceil_mode):
    for size, kernel, stride in itertools.product(range(1, 7), range(1, 6), range(1, 4)):
        for before, after in itertools.product(range(min(kernel, 3)), repeat=2):
            if kernel > size + before + after:
                continue
            w = window("op", (size, size), kernel, stride, ((before, after), (before, after)), ceil_mode)
            for tap in range(kernel):
                expected = [
                    (place, place * stride + tap - before)
                    for place in range(w.OH)
                    if 0 <= place * stride + tap - before < size
                ]
                for places, pixels in (w.rows_met(tap), w.columns_met(tap)):
                    found = zip(range(w.OH)[places], range(size)[pixels], strict=True)
                    assert list(found) == expected
