"""What a GPU should take, by hand for a made-up one."""

import math

import pytest

from benchmarks.gpu import command_line
from benchmarks.gpu.parts.convolutions import Layer
from benchmarks.gpu.reckoning import START, Gpu, im2col_seconds, report, winograd_seconds
from benchmarks.gpu.sizes import MIB
from minicnn.ops.winograd_on_gpu import pays
from minicnn.parallel import GPU_TILE_BYTES
from minicnn.shapes import window

GPU = Gpu(product_flops=1e9, copy_rate=math.inf, cores=4)
SLOW_MEMORY = Gpu(product_flops=math.inf, copy_rate=4e3, cores=4)  # a thousand numbers a second


def test_a_product_that_fills_all_cores_takes_what_its_operations_take():
    """2 x 2 blocks of 128 x 128."""
    assert GPU.multiply(256, 256, 100) == pytest.approx(2 * 256 * 256 * 100 / 1e9 + START)


def test_idle_cores_cost_a_turn():
    """Five blocks on four cores would take two turns; ten blocks of half the width take three, at 85%."""
    full = GPU.multiply(4 * 128, 128, 60)
    assert GPU.multiply(5 * 128, 128, 60) - START == pytest.approx(3 / 2 / 0.85 * (full - START))


def test_a_long_sum_with_few_results_is_cut():
    """As for the gradient of few filters: one block, but four cores share its sum; then that is added up."""
    assert GPU.multiply(128, 128, 4096) == pytest.approx(2 * 128 * 128 * 4096 / 1e9 + 2 * START)


def test_what_is_moved_is_counted():
    assert SLOW_MEMORY.multiply(1000, 1, 1) == pytest.approx(2.001 + START)
    assert SLOW_MEMORY.move(3000) == pytest.approx(3 + START)


def convolution(kernel=3, padding=1, is_first=False):
    w = window("conv2d", (8, 8), kernel, 1, padding)
    return Layer("layer", (10, 8, 8, 50), (kernel, kernel, 50, 100), w, is_first)


def test_im2col_moves_columns_and_operands():
    x, y, w, cols = 10 * 64 * 50, 10 * 64 * 100, 9 * 50 * 100, 10 * 64 * 9 * 50
    seconds = im2col_seconds(convolution(), SLOW_MEMORY, 1 << 40, training=False)
    assert seconds == pytest.approx((x + cols + cols + w + y) / 1000, rel=1e-3)
    in_training = im2col_seconds(convolution(is_first=True), SLOW_MEMORY, 1 << 40, training=True)
    assert in_training == pytest.approx(2 * seconds, rel=1e-3)  # the same operands, for the filters' gradient
    gcols = 10 * 64 * 9 * 100
    with_gx = im2col_seconds(convolution(), SLOW_MEMORY, 1 << 40, training=True)
    assert with_gx - in_training == pytest.approx((y + gcols + gcols + w + x) / 1000, rel=1e-3)


def test_a_pointwise_convolution_has_no_columns():
    x, y, w = 10 * 64 * 50, 10 * 64 * 100, 50 * 100
    seconds = im2col_seconds(convolution(kernel=1, padding=0), SLOW_MEMORY, 1 << 40, training=False)
    assert seconds == pytest.approx((x + y + w) / 1000, rel=1e-3)


def test_small_tiles_read_the_filters_again():
    whole, cut = (im2col_seconds(convolution(), SLOW_MEMORY, size, False) for size in (1 << 40, 1))
    assert cut - whole == pytest.approx(9 * (9 * 50 * 100) / 1000, rel=1e-3)


def test_winograd_moves_what_is_transformed():
    """8 x 8 pixels are four blocks."""
    x, y, w = 10 * 64 * 50, 10 * 64 * 100, 9 * 50 * 100
    V, M, U = 36 * 40 * 50, 36 * 40 * 100, 36 * 50 * 100
    forward = (w + U) + (x + V) + (V + U + M) + (M + y)
    seconds = winograd_seconds(convolution(), SLOW_MEMORY, 1 << 40, training=False)
    assert seconds == pytest.approx(forward / 1000, rel=1e-3)
    filters = (x + V) + (y + M) + (V + M + U) + (U + w)
    images = (w + U) + (y + M) + (M + U + V) + (V + x)
    seconds = winograd_seconds(convolution(), SLOW_MEMORY, 1 << 40, training=True)
    assert seconds == pytest.approx((forward + filters + images) / 1000, rel=1e-3)
    in_tiles = winograd_seconds(convolution(), SLOW_MEMORY, 1, training=True)
    # Ten tiles read the filters again for each of three products, and write their gradient again.
    assert in_tiles - seconds == pytest.approx(9 * (3 * U + (U + w)) / 1000, rel=1e-3)


H200 = Gpu(52e12, 4e12, 132)


@pytest.mark.parametrize("side", [4, 5, 8, 14, 32, 56])
@pytest.mark.parametrize("images", [1, 16, 256])
@pytest.mark.parametrize(("CI", "CO"), [(3, 64), (16, 32), (32, 32), (64, 192), (192, 384)])
def test_the_rule_for_winograd_agrees_where_it_matters(side, images, CI, CO):
    """Not where both are nearly as fast: the rule is for small GPUs, too, whose memory is slower."""
    w = window("conv2d", (side, side), 3, 1, 1)
    layer = Layer("layer", (images, side, side, CI), (3, 3, CI, CO), w, is_first=CI == 3)
    by_im2col, by_winograd = (
        way(layer, H200, GPU_TILE_BYTES, True) for way in (im2col_seconds, winograd_seconds)
    )
    if by_im2col > 1.5 * by_winograd:
        assert pays(w, CI, CO, images)
    if by_winograd > 1.1 * by_im2col:
        assert not pays(w, CI, CO, images)


def test_report(capsys):
    text = report(H200, tiles=(16 * MIB, 64 * MIB))
    rows = {
        line.split("|")[1].strip(): [float(cell) for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if line.startswith("| W")
    }
    by_im2col, by_winograd = rows["W1-256 training, im2col"], rows["W1-256 training, with Winograd"]
    assert by_im2col[0] > by_im2col[1] > by_winograd[1]
    im2col, winograd, ratio = rows["W1-256 conv2, 256x32x32, 3x3, 64 to 192"]
    assert ratio == pytest.approx(im2col / winograd, rel=0.01)
    assert command_line.main(["reckon", "--tflops", "1"]) == 0
    assert "1 TFLOP/s in products and 4000 GB/s" in capsys.readouterr().out
