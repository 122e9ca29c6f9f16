"""Multiplications, counted by running the definition with loops."""

import itertools

import pytest

from minicnn.cost import multiplications


def test_convolution_by_counting_each_product():
    (N, OH, OW, CO), (KH, KW, CIG) = (2, 3, 4, 6), (3, 1, 5)
    products = itertools.product(*map(range, (N, OH, OW, CO, KH, KW, CIG)))
    count = sum(1 for _ in products)
    inputs = [(N, 5, 4, 10), (KH, KW, CIG, CO), (CO,)]  # two groups; the bias multiplies nothing
    assert multiplications("conv2d", inputs, (N, OH, OW, CO)) == count
    assert multiplications("conv2d_relu", inputs, (N, OH, OW, CO)) == count


@pytest.mark.parametrize(
    ("op", "inputs", "output", "count"),
    [
        ("linear", [(7, 3), (3, 5), (5,)], (7, 5), 7 * 5 * 3),
        ("matmul", [(2, 7, 3), (3, 5)], (2, 7, 5), 2 * 7 * 5 * 3),
        ("matmul", [(3,), (3,)], (), 3),
        ("add", [(7, 3), (7, 3)], (7, 3), 0),
    ],
)
def test_matrix_products(op, inputs, output, count):
    assert multiplications(op, inputs, output) == count
