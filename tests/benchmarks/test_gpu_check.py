"""Parts that fail, hang or die harm nobody; and all of them run, on a stand-in for a GPU at toy sizes."""

import contextlib
import importlib.util
import io
import itertools
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import emulated_cupy
import minicnn.cli
from benchmarks.gpu import check, command_line
from benchmarks.gpu.isolation import Ended, run_command
from benchmarks.gpu.notes import Notes
from benchmarks.gpu.part_process import run_part
from benchmarks.gpu.parts import convolutions, ops, sanitizer, situations, tests
from benchmarks.gpu.report import as_markdown
from benchmarks.gpu.sizes import TOY
from minicnn import data
from package_tree import ROOT


def conftest_of_cuda():
    """Return tests/cuda/conftest.py, which knows how to put the stand-in in CuPy's place."""
    spec = importlib.util.spec_from_file_location("cuda_conftest", ROOT / "tests" / "cuda" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stand_in = conftest_of_cuda().stand_in


def python(program):
    return [sys.executable, "-c", program]


# ---- isolation ----


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    child = f"import time, pathlib; time.sleep(1.2); pathlib.Path({str(tmp_path / 'alive')!r}).touch()"
    parent = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    ended = run_command(python(parent), 0.6)
    assert ended.status is None
    time.sleep(1)
    assert not (tmp_path / "alive").exists()


def test_a_command_that_ends(tmp_path):
    ended = run_command(python("import os; print(os.environ['A'], os.getcwd())"), 20, {"A": "b"}, tmp_path)
    assert (ended.status, ended.output) == (0, f"b {tmp_path}\n")


@pytest.mark.parametrize(
    ("program", "status", "problem"),
    [
        ("raise ValueError('odd')", "failed", "ValueError: odd"),
        ("import os; os.kill(os.getpid(), 9)", "died", "signal 9"),
        ("import time; print('so far', flush=True); time.sleep(60)", "out of time", "so far"),
        ("pass", "done", ""),
    ],
)
def test_how_a_part_ends(program, status, problem, tmp_path, monkeypatch):
    """What it noted before is kept in any case."""
    noting = f"import json; json.dump({{'found': 1}}, open({str(tmp_path / 'found.json')!r}, 'w')); {program}"
    monkeypatch.setattr(check, "run_command", lambda command, *rest: run_command(python(noting), *rest))
    record = check.in_process_of_its_own(
        "doctor", tmp_path / "found.json", 0.6 if "sleep" in program else 20, True
    )
    assert record["status"] == status
    assert problem in record["problem"]
    assert record["found"] == {"found": 1}


def test_a_part_in_its_process(tmp_path):
    """Without a GPU it fails, and what it had found until then is there."""
    record = check.in_process_of_its_own("doctor", tmp_path / "found.json", 30, True)
    assert record["found"]["doctor"].startswith("minicnn ")
    assert record["status"] in ("failed", "done")


def test_order_budgets_and_what_is_left(monkeypatch):
    given = []
    clock = iter(range(0, 1000, 50))
    monkeypatch.setattr(check.time, "monotonic", lambda: next(clock))

    def run(name, path, seconds, toy):
        given.append((name, seconds))
        return {"status": "done", "seconds": 1.0, "problem": "", "found": {}}

    seen = []
    names = ["sweep", "speed", "doctor", "kernels"]
    record = check.check(names, 3, False, lambda record: seen.append(len(record["parts"])), run)
    assert given == [
        ("doctor", 30),
        ("speed", 80),
        ("kernels", 30),
    ]  # 180 s, and 50 s pass each time one looks
    assert record["parts"]["sweep"]["status"] == "not run"
    assert seen == [1, 2, 3, 4]


def test_all_parts_fit_into_nine_minutes_or_nearly():
    assert sum(check.PARTS.values()) <= 1.1 * 9 * 60


# ---- what the parts read ----


def test_junit():
    xml = (
        '<testsuites><testsuite time="2.5"><testcase classname="a" name="t1"/>'
        '<testcase classname="a" name="t2">'
        '<failure message="AssertionError: 1 != 2&#10;more">...</failure></testcase>'
        '<testcase classname="a" name="t3"><skipped/></testcase></testsuite></testsuites>'
    )
    assert tests.read_junit(xml) == {
        "passed": 1, "failed": 1, "skipped": 1, "seconds": 2.5,
        "failures": [{"test": "a.t2", "line": "AssertionError: 1 != 2"}],
    }  # fmt: skip


def test_wanted_pytest():
    assert tests.older_than_wanted(pytest.__version__, tests.wanted_version()) is None
    assert tests.older_than_wanted("8.3.5", "8.4") == "pytest is 8.3.5, the tests want 8.4"
    assert tests.older_than_wanted("10.0", "8.4") is None


@pytest.mark.parametrize(
    ("output", "status", "errors"),
    [
        ("========= ERROR SUMMARY: 0 errors", 0, 0),
        ("========= Invalid read\n========= ERROR SUMMARY: 3 errors", 1, 3),
        ("========= RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)", 1, 2),
        ("something else", 1, None),
        ("========= ", None, None),
    ],
)
def test_verdict_of_the_sanitizer(output, status, errors):
    assert sanitizer.verdict(Ended(status, output, 1.0))["errors"] == errors


def test_kernels_by_family():
    kernels = ops.by_name(
        [
            ("void im2col<float, 4>(float*)", 2.0),
            ("nvjet_sss", 1.0),
            ("cupy_copy__float32", 0.5),
            ("Memcpy DtoD", 0.25),
        ],
        1,
    )
    assert ops.families(kernels) == {
        "im2col.cu": 2.0, "matrix products": 1.0, "array operations of CuPy": 0.5, "copies and fills": 0.25,
    }  # fmt: skip


# ---- all of it on the stand-in ----


def in_this_process(name, path, seconds, toy):
    assert toy
    notes = Notes(path, TOY, 60)
    run_part(name, notes)
    return {"status": "done", "seconds": 1.0, "problem": "", "found": json.loads(json.dumps(notes.found))}


def pretended_command(arguments):
    """Do what `minicnn` would do, quickly."""
    command, *rest = arguments
    options = dict(itertools.pairwise(rest))
    if command == "eval":
        return 0, "head     loss  accuracy    top-5\nmain   2.2886    15.00%   65.00%\n"
    if command == "predict":
        return 0, "  10.32%  star\n"
    if options.get("--batch-size") == str(TOY.too_large[0]):
        return 2, "minicnn: error: out of GPU memory: ...; --batch-size 3 would fit\n"
    folder = Path(options.get("--out") or options["--resume"])
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text('{"test_loss": 2.5}')
    (folder / "checkpoint.previous.safetensors").touch()
    return 0, ""


def real_command(arguments):
    """Run `minicnn` in this process, where the stand-in is."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        status = minicnn.cli.main(list(arguments))
    return status, output.getvalue()


def test_check(stand_in, tmp_path, monkeypatch, capsys):
    """Every part but those that start processes of their own."""
    monkeypatch.setattr(command_line, "in_process_of_its_own", in_this_process)
    monkeypatch.setattr(situations, "minicnn_command", pretended_command)
    monkeypatch.setattr(ops, "has_torch", lambda: False)  # its profiler knows no stand-in
    parts = ["doctor", "speed", "kernels", "convolutions", "ops", "situations", "sweep", "streams"]
    with emulated_cupy.limit_memory(400 << 20):
        status = command_line.main(["check", "--toy", "--output", str(tmp_path), "--parts", *parts])
    assert status == 0
    record = json.loads((tmp_path / "check.json").read_text())
    found = {name: part["found"] for name, part in record["parts"].items()}
    assert list(found) == parts
    for comparison in found["speed"]["comparisons"]:
        for entry in comparison["entries"]:
            assert "problem" not in entry or "torch" in entry["name"], entry
            if "problem" not in entry:
                assert entry["agrees"]
    assert [entry for entry in found["kernels"]["kernels"] if "problem" in entry] == []
    for entry in found["convolutions"]["convolutions"]:
        assert "cuDNN" in entry.get("problem", "cuDNN")
    assert [entry for entry in found["situations"]["situations"] if not entry["ok"]] == []
    assert len(found["sweep"]["tiles"]) == len(found["sweep"]["batches"]) == 1
    assert [entry["module"] for entry in found["streams"]["modules"]][:2] == [
        "W1-2 inception3a",
        "W1-2 inception3b",
    ]
    markdown = (tmp_path / "check.md").read_text()
    assert "6 tried, all as they should be" in markdown
    capsys.readouterr()
    assert command_line.main(["show", str(tmp_path / "check.json")]) == 0
    assert capsys.readouterr().out == markdown == as_markdown(record)


@pytest.mark.slow
def test_the_real_command_line(stand_in, tmp_path, monkeypatch):
    shapes = data.load("shapes", None, 32, 0)
    few = replace(shapes, test_images=shapes.test_images[:8], test_labels=shapes.test_labels[:8])
    monkeypatch.setattr(data, "load", lambda *arguments, **settings: few)
    monkeypatch.setattr(situations, "minicnn_command", real_command)
    seen = situations.command_line(Notes(tmp_path / "found.json", TOY, 60), tmp_path)
    assert "resumed after one of two epochs: the same test loss" in seen


@pytest.mark.parametrize(("status", "output"), [(1, "Traceback"), (2, "minicnn: error: no memory"), (0, "")])
def test_a_memory_error_that_is_no_help(stand_in, tmp_path, monkeypatch, status, output):
    monkeypatch.setattr(situations, "minicnn_command", lambda arguments: (status, output))
    with emulated_cupy.limit_memory(64 << 20), pytest.raises(situations.UnexpectedError, match="would fit"):
        situations.too_large_a_batch(Notes(tmp_path / "found.json", TOY, 60), tmp_path)


def test_every_kernel_is_shown_to_the_sanitizer(stand_in, monkeypatch, capsys):
    from benchmarks.gpu import every_kernel
    from minicnn.cuda import kernels, launch

    started = set()

    def note(file, instance):
        started.add(instance.partition("<")[0])
        return kernels.kernel(file, instance)

    monkeypatch.setattr(launch, "kernel", note)
    every_kernel.main()
    known = {name.partition("<")[0] for names in kernels.KERNELS.values() for name in names}
    assert started == known - {"philox_numbers"}  # which only a test starts


def test_distinct_convolutions():
    layers = convolutions.distinct_convolutions(TOY.workloads()[0])
    assert len({(layer.x_shape, layer.w_shape) for layer in layers}) == len(layers)
    conv1 = next(layer for layer in layers if layer.name.endswith("conv1"))
    assert conv1.described == "W1-2 conv1, 2x32x32, 3x3, 3 to 4"
    assert conv1.flop == 2 * 2 * 32 * 32 * (3 * 3 * 3) * 4
