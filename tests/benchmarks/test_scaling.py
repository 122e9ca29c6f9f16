"""The studies of how cost grows."""

import json

import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.command_line import main
from benchmarks.contenders import MINICNN
from benchmarks.machine import describe, measure_gemm
from benchmarks.scaling import Measured, Scaling, small_googlenet, split_by_width
from benchmarks.workloads import WORKLOADS


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.9), (0.0, 1.0), (1.0, 0.0)])
def test_split_by_width(a, b):
    widths = np.array(scaling.WIDTHS)
    assert split_by_width(widths, a * widths + b * widths**2) == pytest.approx((a, b), abs=1e-12)


def test_measure(tmp_path):
    runs = [(MINICNN, small_googlenet(0.1, batch)) for batch in (2, 4)]
    turns = []
    measured = scaling.measure(runs, tmp_path, 1, 2, turns.append)
    assert [row.workload.batch for row in measured] == [2, 4]
    assert all(len(row.seconds) == 2 and row.peak_bytes for row in measured)
    assert len(turns) == 4


def test_tables():
    def measured(width, batch, seconds):
        return Measured(small_googlenet(width, batch), [seconds] * 3, 100 << 20)

    batches = [measured(1.0, 32, 0.5), measured(1.0, 64, 0.8)]
    widths = [measured(width, 64, 0.2 * width + 0.6 * width**2) for width in (0.5, 1.0)]
    times = [Measured(WORKLOADS[0], [seconds] * 3, 100 << 20) for seconds in (1.8, 1.0)]
    printed = scaling.scaling_as_text(Scaling(describe([]), 2, batches, widths, *times))
    assert "one thread 1800 ms, 2 threads 1000 ms: 1.80 times as fast" in printed
    rows = {line[:22].strip(): line[22:].split() for line in printed.splitlines() if "batch " in line[:22]}
    assert "64.0" in rows["width 1.0, batch 32"]
    assert "200 ms * width + 600 ms * width^2" in printed
    lines = [line.split() for line in printed.splitlines() if line.startswith("width 1.0, batch 64")]
    assert lines[0][4:] == ["800.0", "80.0", "80.0-80.0", "125%", "100"]
    assert "width 1.0: 64.0 to 80.0 images/s, the slowest batch size 20% below the fastest" in printed
    assert lines[1][4:9] == ["800.0", "800.0-800.0", "800.0", "25%", "75%"]


def test_scaling_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "BATCHES", (2, 4))
    monkeypatch.setattr(scaling, "BATCH_WIDTHS", (0.1,))
    monkeypatch.setattr(scaling, "WIDTHS", (0.1, 0.2))
    monkeypatch.setattr(scaling, "WORKLOADS", (small_googlenet(0.1, 2),))
    assert main(["scaling", "--rounds", "1", "--output", str(tmp_path)]) == 0
    assert "times as fast" in capsys.readouterr().out
    written = json.loads((tmp_path / "scaling.json").read_text())
    assert [len(written[study]) for study in ("batches", "widths")] == [2, 2]
    assert written["one_thread"]["seconds"][0] > 0


def test_machine_description_names_nobody():
    described = describe(["torch"])
    assert set(described) == {"cpu", "cores", "system", "versions", "date"}
    assert "openblas" in described["versions"]["BLAS"] or described["versions"]["BLAS"]
    assert "/" not in "".join(described["versions"]["BLAS"])


def test_gemm_rate():
    assert 1e8 < measure_gemm(1, size=128, repeats=3) < 1e13
