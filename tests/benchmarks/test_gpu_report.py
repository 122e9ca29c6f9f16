"""From what was found to what is said; and bytes counted by hand."""

import copy
import doctest
import importlib
import json
from dataclasses import replace

import pytest

from benchmarks.gpu import accuracy, command_line, report
from benchmarks.gpu.kernel_cases import kernel_cases
from benchmarks.gpu.sizes import FULL
from minicnn import data
from package_tree import ROOT


def entry(title, seconds, rival=False, **more):
    return {
        "name": title, "title": title, "rival": rival, "seconds": seconds, "memory_bytes": 64 << 20,
        "difference": 1e-6, "agrees": True, **more,
    }  # fmt: skip


COMPARISON = {
    "workload": "W1-256 training", "network": "some network", "training": True, "batch": 256,
    "precision": "TF32", "flop": 10**12, "tolerance": 5e-3,
    "entries": [
        entry("minicnn", [0.010, 0.020, 0.010]),
        entry("installed", [0.015, 0.030, 0.015], rival=True),
        entry("fused", [0.012, 0.024, 0.012], rival=True),
        entry("graph", [0.008, 0.016, 0.008]),
        {"name": "ill", "title": "ill", "rival": True, "problem": "OutOfMemoryError: too large"},
    ],
}  # fmt: skip
KERNELS = {
    "copy_rate": 2e12,
    "kernels": [
        {"kernel": "quick", "where": "there", "bytes": 100 * 10**6, "seconds": 100e-6},  # 1000 GB/s: 50%
        {"kernel": "fast", "where": "there", "bytes": 100 * 10**6, "seconds": 62.5e-6},  # 80%
        {"kernel": "tiny", "where": "there", "bytes": 1000, "seconds": 1e-5},
        {"kernel": "ill", "where": "there", "bytes": 1000, "problem": "ValueError: odd"},
    ],
}


def part(found, status="done", problem=""):
    return {"status": status, "seconds": 3.0, "problem": problem, "found": found}


@pytest.fixture
def record():
    return copy.deepcopy({
        "kind": "gpu check", "date": "2030-01-01", "commit": "abc", "minutes": 9, "toy": False,
        "parts": {
            "doctor": part({"doctor": "All is ready.", "cupy": {"gpu": "Some GPU"}}),
            "tests": part({"summary": {
                "passed": 7, "failed": 1, "skipped": 2, "failures": [{"test": "a.t", "line": "1 != 2"}],
            }}),
            "sanitizer": part({"memcheck": {"errors": 0}, "racecheck": {"errors": 2, "last_lines": "race"}}),
            "speed": part({"comparisons": [COMPARISON]}),
            "kernels": part(KERNELS),
            "convolutions": part({}, "died", "signal 11"),
            "situations": part({"situations": [{"situation": "NaN", "ok": False, "seen": "nothing"}]}),
        },
    })  # fmt: skip


def test_verdicts(record):
    assert list(report.verdicts(record)) == [
        "Tests: 7 passed, **1 failed**, 2 skipped.",
        "compute-sanitizer: memcheck no errors, racecheck **2 errors**.",
        "Speed, W1-256 training, TF32: 1.20 times as fast as fused: reached.",
        "Kernels: 2 large ones measured, **below 60% of the copy rate**: quick (there) 50%. "
        "1 could not be measured.",
        "Situations: 1 tried, NOT as they should be: NaN.",
        "Part convolutions: **died** after 3 s. signal 11",
    ]


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        ([0.03, 0.06, 0.03], "0.40 times as fast as fused: **below 1.0**."),
        ([0.006, 0.012, 0.006], "2.00 times as fast as fused: reached, and 1.5 too."),
    ],
)
def test_verdict_on_speed(record, seconds, verdict):
    comparison = record["parts"]["speed"]["found"]["comparisons"][0]
    comparison["entries"][0]["seconds"] = seconds
    assert report.verdict_on_speed(comparison).endswith(verdict)


def test_another_network_raises_doubt(record):
    comparison = record["parts"]["speed"]["found"]["comparisons"][0]
    comparison["entries"][2] |= {"agrees": False, "difference": 0.1}
    assert "But fused did not compute the same." in report.verdict_on_speed(comparison)
    assert "1e-01 **too much**" in report.speed_section({"comparisons": [comparison]})


def test_nobody_to_compare_with(record):
    comparison = record["parts"]["speed"]["found"]["comparisons"][0]
    del comparison["entries"][1:]
    assert report.verdict_on_speed(comparison).endswith("10.00 ms, nobody to compare with.")


def test_tables(record):
    markdown = report.as_markdown(record)
    assert "# GPU check\n\n2030-01-01, commit abc, on Some GPU." in markdown
    # 256 images and 1000 GFLOP in 12 ms
    assert "| fused | 12.00 | 1.20 (1.20-1.20) | 21,333 | 83,333 | 64 | 1e-06 |" in markdown
    assert "| ill | OutOfMemoryError: too large |" in markdown
    assert "| quick | there | 95.4 | 100.0 | 1,000 | 50% | **below** |" in markdown
    assert "| fast | there | 95.4 | 62.5 | 1,600 | 80% | ok |" in markdown
    assert "| 0% | small |" in markdown
    assert "- `a.t`: 1 != 2" in markdown
    assert "- NaN: **wrong.** nothing" in markdown


def test_whatever_is_missing_is_left_out(record):
    """A part that was killed has noted half of what it knows."""
    for place in ({}, {"comparisons": []}, {"kernels": [], "copy_rate": 1.0}, {"remark": "no PyTorch"}):
        for name in report.SECTIONS:
            if name not in ("sweep", "kernels") or "comparisons" not in place:
                record["parts"][name] = part(place if name != "sweep" else {})
        assert report.as_markdown(record)


# Bytes by hand: float32 has 4, places have 1, labels 8.
BYTES = {
    ("lrn_forward", "norm1, 256x32x32x64"): 2 * 4 * 256 * 32 * 32 * 64,
    ("lrn_backward", "norm2, 256x32x32x192"): 3 * 4 * 256 * 32 * 32 * 192,
    ("max_pool_forward", "pool2, 256x32x32x192, 3x3/2"): 256 * 192 * (4 * 32 * 32 + 5 * 16 * 16),
    ("max_pool_backward", "inception3b, 256x16x16x256, 3x3/1"): 256 * 256 * 9 * 16 * 16,
    ("avg_pool_forward", "aux1, 256x8x8x512, 5x5/3"): 4 * 256 * 512 * (64 + 4),
    ("im2col", "conv2, 32x32x32x64, 3x3/1"): 4 * 32 * 32 * 32 * 64 * 10,
    ("col2im", "conv1, 224, 16x224x224x3, 7x7/2"): 4 * 16 * 3 * (224 * 224 + 112 * 112 * 49),
    ("add_bias", "conv2, 256x32x32x192"): 4 * (2 * 256 * 32 * 32 * 192 + 192),
    ("mask_and_sum_rows", "conv2, 256x32x32x192"): 4 * (3 * 256 * 32 * 32 * 192 + 192),
    ("cross_entropy_forward", "main, 256x10"): 256 * (4 * 10 + 8 + 4 + 4),
    ("cross_entropy_backward", "main, 224, 64x1000"): 64 * (4 * 2000 + 8 + 4 + 4),
    ("dropout_mask", "aux1, 256x1024"): 4 * 256 * 1024,
    ("choose_crop_mirror_normalise", "crop and mirror, 256x32x32x3"): 5 * 256 * 32 * 32 * 3,
}


def test_bytes():
    counted = {(case.kernel, case.where): case.bytes for case in kernel_cases(FULL)}
    assert {key: counted[key] for key in BYTES} == BYTES


@pytest.mark.parametrize(
    "name", ["kernel_cases", "report", "accuracy", "parts.ops", "parts.tests", "parts.situations"]
)
def test_examples(name):
    results = doctest.testmod(importlib.import_module(f"benchmarks.gpu.{name}"))
    assert results.attempted > 0
    assert results.failed == 0, "see the captured output"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere.json"], "nowhere.json"),
        (
            ["show", str(ROOT / "benchmarks" / "results" / "comparison.json")],
            "expected what a check or a run",
        ),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert command_line.main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert message in errors


# ---- accuracy ----


def run_of(seed, test_accuracy):
    result = {"test_accuracy": test_accuracy, "test_loss": 0.3, "epochs": 90}
    return {"kind": "gpu accuracy", "seed": seed, "data": "cifar10", "seconds": 340.0, "result": result}


def test_mean_and_spread_of_runs(tmp_path, capsys):
    paths = []
    for seed, value in ((1, 0.92), (2, 0.93), (3, 0.94)):
        paths.append(str(tmp_path / f"accuracy-{seed}.json"))
        (tmp_path / f"accuracy-{seed}.json").write_text(json.dumps(run_of(seed, value)))
    assert command_line.main(["show", *paths]) == 0
    printed = capsys.readouterr().out
    assert (
        "Mean test accuracy 93.00% with a standard deviation of 1.00%, from 92.00% to 94.00%, 3 runs"
        in printed
    )
    assert "Target 92%: reached." in printed
    assert command_line.main(["show", paths[0], paths[0]]) == 2
    assert "the same seed" in capsys.readouterr().err


def test_below_the_target():
    assert "1 run. Target 92%: **not reached**" in accuracy.accuracies_as_markdown([run_of(1, 0.91)])


def test_accuracy(tmp_path, monkeypatch):
    """On the CPU and on toys: the clock leaves time for one epoch."""
    shapes = data.load("shapes", None, 32, 0)
    few = replace(shapes, test_images=shapes.test_images[:8], test_labels=shapes.test_labels[:8])
    monkeypatch.setattr(data, "load", lambda *arguments, **settings: few)
    small = {"width": 0.02, "batch_size": 8, "limit": 20}
    record = accuracy.accuracy(5, 0.001, "shapes", None, tmp_path, device="cpu", **small)
    assert json.loads((tmp_path / "accuracy-5.json").read_text()) == record
    assert record["result"]["epochs"] == len(record["epochs"]) == 1
    assert record["config"]["clip_norm"] == 2.0
    assert str(tmp_path) not in json.dumps(record)
    assert (tmp_path / "accuracy-5" / "curves.png").exists()
    assert not (tmp_path / "accuracy-5" / "trial").exists()
