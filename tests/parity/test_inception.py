"""The inception module as one op gives PyTorch's outputs and gradients."""

import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch
from torch.nn.functional import conv2d, max_pool2d

from minicnn import functional as F
from parity.against_torch import check_op, nchw, nhwc

pytestmark = pytest.mark.parity


def conv(x, weight, bias, padding=0):
    return torch.relu(conv2d(x, weight.permute(3, 2, 0, 1), bias, padding=padding))


def theirs(x, w1, b1, w3_reduce, b3_reduce, w3, b3, w5_reduce, b5_reduce, w5, b5, w_proj, b_proj):
    x = nchw(x)
    branches = [
        conv(x, w1, b1),
        conv(conv(x, w3_reduce, b3_reduce), w3, b3, 1),
        conv(conv(x, w5_reduce, b5_reduce), w5, b5, 2),
        conv(max_pool2d(x, 3, 1, 1), w_proj, b_proj),
    ]
    return nhwc(torch.cat(branches, 1))


@pytest.mark.parametrize(
    ("batch", "image", "widths"),
    [
        (1, (1, 1), (3, 2, 1, 3, 2, 1, 2)),
        (2, (5, 4), (4, 2, 3, 5, 1, 2, 3)),
        (1, (14, 13), (8, 3, 4, 6, 2, 5, 4)),
        (9, (28, 28), (48, 16, 24, 32, 4, 8, 8)),  # several tiles
    ],
    ids=str,
)
def test_inception(batch, image, widths, rng):
    C, C1, R3, C3, R5, C5, CP = widths
    arrays = [rng.standard_normal((batch, *image, C))]
    for kernel, inputs, outputs in (
        (1, C, C1), (1, C, R3), (3, R3, C3), (1, C, R5), (5, R5, C5), (1, C, CP),
    ):  # fmt: skip
        arrays += [rng.standard_normal((kernel, kernel, inputs, outputs)), rng.standard_normal(outputs)]
    check_op("inception", f"{batch} images {image} {widths}", F.inception, theirs, arrays, rng)
