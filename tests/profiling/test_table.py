"""The table: what stands in it, to the letter, and what a number per step is."""

import textwrap

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.profiling import Record
from minicnn.profiling.spans import Span


@pytest.fixture
def record() -> Record:
    """Two steps of 10 ms: a convolution of 4 ms with 6 GFLOP/s, and an op of 0.5 ms in a nested module."""
    record = Record(threads=2)
    record.start, record.end = 0, 20_000_000
    mib = 1 << 20
    for step in range(2):
        begin = step * 10_000_000
        for phase, name, layer, start, own, facts in [
            ("forward", "conv2d", "conv", 1_000_000, 1_000_000, {"flops": 8_000_000, "kept_bytes": 3 * mib}),
            ("forward", "exp", "block.inner", 2_000_000, 500_000, {"kept_bytes": mib // 2}),
            ("backward", "conv2d", "conv", 4_000_000, 3_000_000, {"flops": 16_000_000}),
            ("walk", "backward", "", 3_000_000, 2_000_000, {}),
        ]:
            start += begin
            record.spans.append(Span(phase, name, start, start + own, own, layer, **facts))
    return record


def test_per_op(record):
    assert f"{record}\n" == textwrap.dedent(
        """\
        op                   calls  forward ms  backward ms  total ms   share  GFLOP/s  kept MiB
        ----------------------------------------------------------------------------------------
        conv2d                   2        2.00         6.00      8.00   40.0%      6.0      6.00
        exp                      2        1.00         0.00      1.00    5.0%               1.00
        adding up gradients                                      4.00   20.0%
        outside of ops                                           7.00   35.0%
        ----------------------------------------------------------------------------------------
        total                    4        3.00         6.00     20.00  100.0%               7.00
        2 threads; peak of live activations and gradients 0.0 MiB
        """
    )


def test_per_layer_and_step(record):
    lines = record.table(by="layer", depth=1, steps=2).splitlines()
    assert lines[0].split()[0] == "layer"
    assert lines[2].split() == ["conv", "1", "1.00", "3.00", "4.00", "40.0%", "6.0", "3.00"]
    assert lines[3].split() == ["block", "1", "0.50", "0.00", "0.50", "5.0%", "0.50"]
    assert lines[-2].split() == ["total", "2", "1.50", "3.00", "10.00", "100.0%", "3.50"]
    assert lines[-1].startswith("per step, mean of 2; 2 threads; ")


def test_calls_that_are_not_the_same_in_every_step(record):
    extra = Span("forward", "exp", 0, 1, 1)
    record.spans.append(extra)
    assert record.table(steps=2).splitlines()[3].split()[:2] == ["exp", "1.5"]


def test_the_shares_of_a_real_step_add_up(rng):
    block = nn.Inception(8, 2, 3, 4, 2, 3, 2, rng=rng)
    with minicnn.profile() as record:
        block(Tensor(np.ones((2, 6, 6, 8), np.float32))).sum().backward()
    lines = [line.split("%")[0].split()[-1] for line in str(record).splitlines() if "%" in line]
    *shares, total = map(float, lines)
    assert total == 100
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))
