"""Cases of conv2d and conv2d_relu."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, zeros
from minicnn.ops.conv import Conv2d
from minicnn.ops.conv_relu import Conv2dReLU


def conv2d_reference(
    x: np.ndarray, w: np.ndarray, b: Any = None, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> np.ndarray:
    """Add up, for each output pixel and filter, pixel times weight over the window; no pixel counts as 0."""
    N, H, W, _ = x.shape
    KH, KW, CIG, CO = w.shape
    SH, SW = vertical_and_horizontal(stride)
    (top, bottom), (left, right) = sides(padding)
    OH = (top + H + bottom - KH) // SH + 1
    OW = (left + W + right - KW) // SW + 1
    y = np.zeros((N, OH, OW, CO), np.result_type(x, w, 0.0 if b is None else b))
    for n, p, q, o in np.ndindex(y.shape):
        first_channel = o // (CO // groups) * CIG  # of the group that filter o belongs to
        for i, j, c in np.ndindex(KH, KW, CIG):
            row, column = p * SH + i - top, q * SW + j - left
            if 0 <= row < H and 0 <= column < W:
                y[n, p, q, o] += x[n, row, column, first_channel + c] * w[i, j, c, o]
        if b is not None:
            y[n, p, q, o] += b[o]
    return y


def conv2d_relu_reference(
    x: np.ndarray, w: np.ndarray, b: Any = None, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> np.ndarray:
    """Convolve, then replace what is negative by zero."""
    y = conv2d_reference(x, w, b, stride, padding, groups)
    for index in np.ndindex(y.shape):
        if y[index].real <= 0:
            y[index] = 0
    return y


def vertical_and_horizontal(size: Any) -> tuple[int, int]:
    """Read an int or a pair."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def sides(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Read a padding as ((top, bottom), (left, right))."""
    vertical, horizontal = vertical_and_horizontal(padding)
    return vertical_and_horizontal(vertical), vertical_and_horizontal(horizontal)


def _samples(rng: np.random.Generator) -> list[Sample]:
    def arrays(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        return tuple(rng.standard_normal(shape) for shape in shapes)

    return [
        Sample("3x3 with padding", arrays((3, 3, 2, 2), (3, 3, 2, 3), (3,)), {"padding": 1}),
        Sample("no bias", arrays((2, 4, 5, 1), (3, 2, 1, 2))),
        Sample("1x1", arrays((3, 2, 3, 4), (1, 1, 4, 3), (3,))),
        Sample("1x1 with stride", arrays((2, 4, 5, 3), (1, 1, 3, 2), (2,)), {"stride": 2}),
        Sample("1x1 with padding", arrays((2, 2, 2, 3), (1, 1, 3, 2), (2,)), {"padding": (0, 1)}),
        Sample(
            "even kernel, strides and paddings all different",
            arrays((3, 5, 6, 2), (2, 4, 2, 3), (3,)),
            {"stride": (2, 1), "padding": ((1, 0), (3, 2))},
        ),
        Sample(
            "paddings all different, stride 1",
            arrays((3, 4, 4, 2), (2, 4, 2, 3), (3,)),
            {"padding": ((1, 0), (3, 2))},
        ),
        Sample("5x5 on one pixel", arrays((2, 1, 1, 2), (5, 5, 2, 2), (2,)), {"padding": 2}),
        Sample("kernel as large as the image", arrays((4, 3, 4, 2), (3, 4, 2, 5), (5,))),
        Sample("stride beyond the kernel", arrays((2, 7, 8, 1), (2, 2, 1, 2), (2,)), {"stride": [3, 4]}),
        Sample("groups", arrays((3, 3, 4, 4), (3, 2, 2, 6), (6,)), {"groups": 2, "padding": 1}),
        Sample("1x1 in groups", arrays((3, 2, 2, 6), (1, 1, 2, 3), (3,)), {"groups": 3}),
        Sample(
            "a group for each channel",
            arrays((2, 4, 4, 3), (3, 3, 1, 3), (3,)),
            {"groups": 3, "stride": 2, "padding": 1},
        ),
    ]


def _errors(function: Any) -> tuple[ErrorCase, ...]:
    x, w = zeros(2, 4, 4, 2), zeros(3, 3, 2, 6)
    return (
        ErrorCase(
            "no batch",
            lambda: function(zeros(4, 4, 2), w),
            r"^conv2d: x: expected a batch of images \(N, H, W, C\), got shape \(4, 4, 2\)$",
        ),
        ErrorCase(
            "empty batch",
            lambda: function(zeros(0, 4, 4, 2), w),
            r"^conv2d: x: expected .* got an empty batch: \(0, 4, 4, 2\)$",
        ),
        ErrorCase(
            "no pixels",
            lambda: function(zeros(2, 4, 0, 2), w, padding=3),
            r"^conv2d: x: expected \(N, H, W, C\).* got W = 0: \(2, 4, 0, 2\)$",
        ),
        ErrorCase(
            "wrong channel count",
            lambda: function(zeros(2, 4, 4, 3), w),
            r"^conv2d: x: expected 2 channels for a weight of shape \(3, 3, 2, 6\), "
            r"got 3 channels in shape \(2, 4, 4, 3\)$",
        ),
        ErrorCase(
            "wrong channel count for the groups",
            lambda: function(x, w, groups=2),
            r"^conv2d: x: expected 4 channels for a weight of shape \(3, 3, 2, 6\) and groups=2, got 2",
        ),
        ErrorCase(
            "groups that do not divide the channels",
            lambda: function(zeros(2, 4, 4, 8), w, groups=4),
            r"^conv2d: groups: expected a divisor of 8 input and 6 output channels, got 4$",
        ),
        ErrorCase(
            "no groups",
            lambda: function(x, w, groups=0),
            r"^conv2d: groups: expected at least 1, got 0$",
        ),
        ErrorCase(
            "weight without filters",
            lambda: function(x, zeros(3, 3, 2)),
            r"^conv2d: weight: expected shape \(KH, KW, CI // groups, CO\), got \(3, 3, 2\)$",
        ),
        ErrorCase(
            "bias of another length",
            lambda: function(x, w, zeros(5)),
            r"^conv2d: bias: expected shape \(6,\), got \(5,\)$",
        ),
        ErrorCase(
            "kernel higher than the padded image",
            lambda: function(x, zeros(7, 1, 2, 1), padding=1),
            r"^conv2d: kernel_size: expected at most the height of the padded image, 4 \+ 1 \+ 1 = 6, got 7$",
        ),
        ErrorCase(
            "kernel wider than the padded image",
            lambda: function(x, zeros(1, 8, 2, 1), padding=((0, 0), (1, 2))),
            r"^conv2d: kernel_size: expected at most the width of the padded image, 4 \+ 1 \+ 2 = 7, got 8$",
        ),
        ErrorCase(
            "stride of zero",
            lambda: function(x, w, stride=(1, 0)),
            r"^conv2d: stride: expected at least 1, got 0$",
        ),
        ErrorCase(
            "three strides",
            lambda: function(x, w, stride=(1, 1, 1)),
            r"^conv2d: stride: expected an int or a pair \(vertical, horizontal\), got \(1, 1, 1\)$",
        ),
        ErrorCase(
            "negative padding",
            lambda: function(x, w, padding=((0, -1), (0, 0))),
            r"^conv2d: padding: expected at least 0, got -1$",
        ),
        ErrorCase(
            "fractional padding",
            lambda: function(x, w, padding=0.5),
            r"^conv2d: padding: expected a whole number, got 0\.5$",
        ),
        ErrorCase(
            "padding in words",
            lambda: function(x, w, padding="same"),
            r"^conv2d: padding: expected a whole number, got 'same'$",
        ),
        ErrorCase(
            "mixed dtypes",
            lambda: function(x, zeros(3, 3, 2, 6, dtype=np.float32)),
            r"^conv2d(_relu)?: expected tensors of one dtype, got float64 and float32; nothing is converted",
        ),
    )


CASES = (
    OpCase("conv2d", F.conv2d, conv2d_reference, _samples, (Conv2d,), _errors(F.conv2d)),
    OpCase(
        "conv2d_relu", F.conv2d_relu, conv2d_relu_reference, _samples, (Conv2dReLU,), _errors(F.conv2d_relu)
    ),
)
