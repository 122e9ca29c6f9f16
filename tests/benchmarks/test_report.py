"""From a recorded comparison to tables, to the chart, and back to JSON."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import tables
from benchmarks.chart import bars_of, draw_chart
from benchmarks.command_line import main
from benchmarks.errors import BenchmarkError
from benchmarks.records import Report, read_reports
from benchmarks.spread import Spread, ratios, spread

RECORDED = Path(__file__).parent / "recorded.json"


@pytest.fixture
def report() -> Report:
    return read_reports([RECORDED])


def edited(tmp_path, name, change) -> Path:
    content = json.loads(RECORDED.read_text())
    change(content)
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return path


def cells(table: str, row: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(row + "  "))
    return line.removeprefix(row).split()


def test_spread():
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(1.0, 2.0, 3.0, 4.0, 5.0)


def test_ratios_are_taken_within_a_round():
    """A machine that is twice as slow in one round changes no ratio."""
    assert ratios([3.0, 6.0, None], [2.0, 4.0, 100.0]) == Spread(1.5, 1.5, 1.5, 1.5, 1.5)


def test_measurement_table(report):
    table = tables.measurement_table(report.measurements[0], report)
    # 12 GFLOP in 0.2 s, on two threads that reach 200 GFLOP/s; one thread reaches 100
    assert cells(table, "minicnn") == ["200.0", "100.0", "400.0", "60.0", "30%", "100", "1.00"]
    assert cells(table, "minicnn, one thread")[3:5] == ["40.0", "40%"]
    # ratios 1.5, 1.3 and 2.0
    assert cells(table, "PyTorch, channels-last")[-3:] == ["300", "1.50", "1.40-1.75"]
    # took part in the first round only
    assert cells(table, "DeZero, without LRN")[-2:] == ["5.00", "5.00-5.00"]


def test_op_table(report):
    table = tables.op_table(report.measurements[0], report)
    assert cells(table, "conv2d_relu") == ["40.0", "80.0", "120.0", "60.0%", "98.3", "49%"]
    assert cells(table, "max_pool2d") == ["30.0", "30.0", "60.0", "30.0%"]
    assert cells(table, "other ops") == ["0.6", "0.3%"]
    assert cells(table, "outside of ops") == ["19.4", "9.7%"]
    assert "in separate ops: 250.0 ms" in table


def test_ratio_table(report):
    table = tables.ratio_table(report.measurements)
    assert cells(table, "PyTorch, channels-last") == ["1.50", "0.90"]
    assert cells(table, "DeZero, without LRN") == ["5.00"]


def test_written_and_read_again(report, tmp_path):
    report.write(tmp_path / "copy.json")
    assert read_reports([tmp_path / "copy.json"]) == report


def test_join_reports(report, tmp_path):
    paths = [
        edited(tmp_path, f"{place}.json", lambda content, place=place: content["measurements"].pop(place))
        for place in (1, 0)
    ]
    assert read_reports(paths) == report


def test_of_two_gemm_rates_the_better_one_is_kept(tmp_path):
    """A product that was disturbed says nothing about the machine."""

    def disturbed(content):
        content["measurements"].clear()
        content["gemm_flops"] = {"1": 110e9, "2": 90e9}

    joined = read_reports([edited(tmp_path, "disturbed.json", disturbed), RECORDED])
    assert joined.gemm_flops == {"1": 110e9, "2": 200e9}


def slower_processor(content):
    content["machine"]["cpu"] = "Another Processor"
    content["measurements"].clear()


def more_threads(content):
    content["threads"] = 4
    content["measurements"].clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (slower_processor, "cpu: expected that of the first file, Some Processor, got Another Processor"),
        (more_threads, "threads: expected 2, got 4"),
        (lambda content: None, "W2 training is in another file already"),
        (lambda content: content.pop("measurements"), "expected what a comparison wrote, got something else"),
    ],
)
def test_reports_that_cannot_be_joined(change, message, tmp_path):
    with pytest.raises(BenchmarkError, match=message):
        read_reports([RECORDED, edited(tmp_path, "other.json", change)])


def test_chart(report, tmp_path):
    assert bars_of(report.measurements[0]) == ["minicnn", "torch", "dezero"]
    draw_chart(report, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in ((0x0B, 0x4F, 0x8A), (0xD5, 0x5E, 0x00), (0xD9, 0xD9, 0xD9)):
        assert np.all(pixels == colour, axis=1).sum() > 1000


def test_show(tmp_path, capsys):
    assert main(["show", str(RECORDED), "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "W2 training: googlenet_cifar, width 0.25, 32x32, 10 classes, batch 64; 12.0 GFLOP" in printed
    assert "GFLOP/s 100 on 1 thread, 200 on 2 threads" in printed
    assert json.loads((tmp_path / "comparison.json").read_text()) == json.loads(RECORDED.read_text())
    assert (tmp_path / "comparison.png").exists()


def test_minicnn_alone_has_tables_but_no_chart(tmp_path, capsys):
    def leave_the_others_out(content):
        for measurement in content["measurements"]:
            del measurement["times"][1:]

    path = edited(tmp_path, "alone.json", leave_the_others_out)
    assert main(["show", str(path), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "minicnn, op by op" in printed
    assert "minicnn is faster" not in printed
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["comparison.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere.json"], "nowhere.json"),
        (["compare", "--against", "chainer"], "--against: expected some of minicnn-1, torch, "),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("benchmarks: error: ")
    assert errors.count("\n") == 1
    assert message in errors


def test_unknown_workload(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--workloads", "W9"])
    assert ended.value.code == 2
    assert "invalid choice: 'W9'" in capsys.readouterr().err
