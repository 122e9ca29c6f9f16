"""Cases of max_pool2d, avg_pool2d and global_avg_pool2d."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, distinct, tied, zeros
from minicnn.op_cases.convolution import sides, vertical_and_horizontal
from minicnn.ops.avg_pool import AvgPool2d
from minicnn.ops.global_avg_pool import GlobalAvgPool2d
from minicnn.ops.max_pool import MaxPool2d


def max_pool2d_reference(
    x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
) -> np.ndarray:
    """Look for the largest pixel of each window, row by row; the first of equals wins."""
    N, H, W, C = x.shape
    KH, KW = vertical_and_horizontal(kernel_size)
    tops, lefts = window_starts(H, W, kernel_size, stride, padding, ceil_mode)
    y = np.zeros((N, len(tops), len(lefts), C), x.dtype)
    for n, p, q, c in np.ndindex(y.shape):
        pixels = [x[n, row, column, c] for row, column in pixels_of(tops[p], lefts[q], KH, KW, H, W)]
        y[n, p, q, c] = max(pixels, key=lambda value: value.real)
    return y


def avg_pool2d_reference(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """Add up the pixels of each window and divide by how many places of it count."""
    N, H, W, C = x.shape
    KH, KW = vertical_and_horizontal(kernel_size)
    (_, bottom), (_, right) = sides(padding)
    tops, lefts = window_starts(H, W, kernel_size, stride, padding, ceil_mode)
    y = np.zeros((N, len(tops), len(lefts), C), x.dtype)
    for n, p, q, c in np.ndindex(y.shape):
        places = list(pixels_of(tops[p], lefts[q], KH, KW, H, W))
        count = len(places)
        if count_include_pad:  # windows start inside the padded image, but in ceil mode may end beyond it
            count = (min(tops[p] + KH, H + bottom) - tops[p]) * (min(lefts[q] + KW, W + right) - lefts[q])
        for row, column in places:
            y[n, p, q, c] += x[n, row, column, c] / count
    return y


def global_avg_pool2d_reference(x: np.ndarray) -> np.ndarray:
    """Add up all pixels of each channel and divide by their number."""
    N, H, W, C = x.shape
    y = np.zeros((N, C), x.dtype)
    for n, row, column, c in np.ndindex(x.shape):
        y[n, c] += x[n, row, column, c] / (H * W)
    return y


def window_starts(
    H: int, W: int, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool
) -> tuple[list[int], list[int]]:
    """List the top rows and the left columns of the windows, counted from the image's first pixel.

    Windows lie inside the padded image. In ceil mode, if they leave out something at the end of it, there
    is one more window, provided that it starts before the image ends.
    """
    KH, KW = vertical_and_horizontal(kernel_size)
    SH, SW = vertical_and_horizontal(kernel_size if stride is None else stride)
    (top, bottom), (left, right) = sides(padding)

    def along(size: int, kernel: int, step: int, before: int, after: int) -> list[int]:
        starts = list(range(-before, size + after - kernel + 1, step))
        something_left = starts[-1] + kernel < size + after
        if ceil_mode and something_left and starts[-1] + step < size:
            starts.append(starts[-1] + step)
        return starts

    return along(H, KH, SH, top, bottom), along(W, KW, SW, left, right)


def pixels_of(top: int, left: int, KH: int, KW: int, H: int, W: int) -> Iterator[tuple[int, int]]:
    """Yield row and column of the real pixels in a window, row by row."""
    for i, j in np.ndindex(KH, KW):
        if 0 <= top + i < H and 0 <= left + j < W:
            yield top + i, left + j


_GEOMETRIES: tuple[tuple[str, tuple[int, int], dict[str, Any]], ...] = (
    ("3x3/2 in ceil mode", (4, 4), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    ("windows side by side", (4, 6), {"kernel_size": (2, 3)}),
    ("3x3/1 with padding", (3, 4), {"kernel_size": 3, "stride": 1, "padding": 1}),
    (
        "even kernel, strides and paddings all different",
        (5, 6),
        {"kernel_size": (4, 2), "stride": [1, 2], "padding": ((3, 2), (1, 0))},
    ),
    (
        "last window of ceil mode would start in the padding",
        (2, 3),
        {"kernel_size": 2, "stride": (2, 3), "padding": 1, "ceil_mode": True},
    ),
    (
        "padding and beyond in ceil mode",
        (5, 4),
        {"kernel_size": (4, 3), "stride": (3, 2), "padding": ((0, 1), (1, 0)), "ceil_mode": True},
    ),
    ("stride beyond the kernel", (7, 8), {"kernel_size": 2, "stride": 3}),
    ("one pixel", (1, 1), {"kernel_size": 3, "stride": 1, "padding": ((1, 1), (2, 0))}),
)


def _max_samples(rng: np.random.Generator) -> list[Sample]:
    samples = [
        Sample(label, (distinct(rng, 3, *size, 2),), settings) for label, size, settings in _GEOMETRIES
    ]
    samples += [
        Sample(
            "all negative: padding must not win",
            (distinct(rng, 3, 3, 3, 2) - 10,),
            {"kernel_size": 3, "stride": 1, "padding": 1},
        ),
        Sample("ties", (tied(rng, 3, 5, 5, 2),), {"kernel_size": 3, "stride": 1, "padding": 1}),
        Sample("ties everywhere", (np.ones((2, 4, 5, 1)),), {"kernel_size": (2, 3), "stride": 1}),
    ]
    return samples


def _avg_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample(
            f"{label}, padding {'counted' if counted else 'not counted'}",
            (rng.standard_normal((3, *size, 2)),),
            {**settings, "count_include_pad": counted},
        )
        for label, size, settings in _GEOMETRIES
        for counted in (True, False)
    ]


def _global_avg_samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample("a few images", (rng.standard_normal((3, 2, 3, 4)),)),
        Sample("one pixel", (rng.standard_normal((1, 1, 1, 1)),)),
    ]


def _errors(name: str, function: Any) -> tuple[ErrorCase, ...]:
    x = zeros(2, 4, 4, 2)
    return (
        ErrorCase(
            "no batch",
            lambda: function(zeros(4, 4, 2), 2),
            rf"^{name}: x: expected a batch of images \(N, H, W, C\), got shape \(4, 4, 2\)$",
        ),
        ErrorCase(
            "empty batch",
            lambda: function(zeros(0, 4, 4, 2), 2),
            rf"^{name}: x: expected .* got an empty batch: \(0, 4, 4, 2\)$",
        ),
        ErrorCase(
            "kernel higher than the padded image",
            lambda: function(x, (7, 2), padding=1),
            rf"^{name}: kernel_size: expected at most the height of the padded image, 4 \+ 1 \+ 1 = 6, got 7",
        ),
        ErrorCase(
            "kernel of nothing",
            lambda: function(x, (2, 0)),
            rf"^{name}: kernel_size: expected at least 1, got 0$",
        ),
        ErrorCase(
            "fractional kernel",
            lambda: function(x, 2.0),
            rf"^{name}: kernel_size: expected a whole number, got 2\.0$",
        ),
        ErrorCase(
            "padding as large as the kernel",
            lambda: function(x, (2, 3), padding=((0, 2), (0, 0))),
            rf"^{name}: padding: expected less than the kernel \(2\) on each side, got 2 at the bottom$",
        ),
        ErrorCase(
            "padding as large as the kernel, sideways",
            lambda: function(x, (3, 2), padding=((0, 0), (2, 0))),
            rf"^{name}: padding: expected less than the kernel \(2\) on each side, got 2 at the left$",
        ),
        ErrorCase(
            "integers",
            lambda: function(zeros(1, 4, 4, 3, dtype=np.uint8), 2),
            rf"^{name}: expected floating-point numbers, got uint8",
        ),
    )


CASES = (
    OpCase(
        "max_pool2d",
        F.max_pool2d,
        max_pool2d_reference,
        _max_samples,
        (MaxPool2d,),
        _errors("max_pool2d", F.max_pool2d),
    ),
    OpCase(
        "avg_pool2d",
        F.avg_pool2d,
        avg_pool2d_reference,
        _avg_samples,
        (AvgPool2d,),
        _errors("avg_pool2d", F.avg_pool2d),
    ),
    OpCase(
        "global_avg_pool2d",
        F.global_avg_pool2d,
        global_avg_pool2d_reference,
        _global_avg_samples,
        (GlobalAvgPool2d,),
        (
            ErrorCase(
                "no batch",
                lambda: F.global_avg_pool2d(zeros(4, 4, 2)),
                r"^global_avg_pool2d: x: expected a batch of images \(N, H, W, C\), got shape \(4, 4, 2\)$",
            ),
            ErrorCase(
                "no pixels",
                lambda: F.global_avg_pool2d(zeros(2, 0, 4, 2)),
                r"^global_avg_pool2d: x: expected \(N, H, W, C\).* got H = 0: \(2, 0, 4, 2\)$",
            ),
            ErrorCase(
                "integers",
                lambda: F.global_avg_pool2d(zeros(1, 4, 4, 3, dtype=np.uint8)),
                r"^global_avg_pool2d: expected floating-point numbers, got uint8",
            ),
        ),
    ),
)
