"""Training with a profile: which steps it covers, what it writes, and that nothing else changes."""

import json
import re
from dataclasses import replace

import pytest

from minicnn import parallel, tensor
from minicnn.training import load_checkpoint, make_splits, train
from minicnn.training.run_folder import PROFILE_TABLES, PROFILE_TRACE


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)


def with_batches_of(config, images, size):
    config = replace(config, batch_size=size)
    return config, make_splits(images, config, 8)


def test_a_profile_changes_nothing(network, config, splits, start):
    plain, profiled = start("plain", config), start("profiled", config)
    results = [
        train(network(), config, splits, plain),
        train(network(), config, splits, profiled, profile=True),
    ]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
    a, b = load_checkpoint(plain.checkpoint_path), load_checkpoint(profiled.checkpoint_path)
    for kind in ("weights", "velocity", "averages"):
        first, second = getattr(a, kind), getattr(b, kind)
        assert first.keys() == second.keys()
        assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    written = {path.name for path in profiled.path.iterdir()} - {path.name for path in plain.path.iterdir()}
    assert written == {PROFILE_TABLES, PROFILE_TRACE}


@pytest.mark.parametrize(
    ("batch_size", "which", "steps"),
    [
        (4, "steps 3 to 7", 5),
        (12, "steps 3 to 5", 3),
        (16, "step 3", 1),
        (25, "step 2", 1),
        (60, "step 1", 1),
    ],
)
def test_which_steps(network, config, images, start, capsys, batch_size, which, steps):
    config, splits = with_batches_of(config, images, batch_size)
    run = start("run", config)
    train(network(), config, splits, run, profile=True)
    out = capsys.readouterr().out
    assert out.count("profile of") == 1
    assert f"profile of {which}:\nop " in out
    tables = (run.path / PROFILE_TABLES).read_text()
    assert out.count(tables.split("\n\n")[0]) == 1
    convolutions = re.search(r"^conv2d_relu +(\d+) ", tables, re.MULTILINE)
    assert convolutions[1] == "1"  # in a step
    events = json.loads((run.path / PROFILE_TRACE).read_text())["traceEvents"]
    assert [event["name"] for event in events if event.get("cat") == "walk"] == ["backward"] * steps
    assert f"{run.path / PROFILE_TRACE} shows when what ran" in out
    assert "https://ui.perfetto.dev" in out


def test_tables(network, config, splits, start):
    run = start("run", config)
    train(network(), config, splits, run, profile=True)
    by_op, by_module, by_layer = (run.path / PROFILE_TABLES).read_text().split("\n\n")
    assert by_op.split()[0] == "op"
    assert by_module.split()[0] == by_layer.split()[0] == "layer"
    assert re.search(r"^fc +1 ", by_layer, re.MULTILINE)


def test_a_profile_of_a_resumed_run(network, config, splits, start, capsys):
    run = start("run", config)
    splits.train.crash_at = (1, 1)
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, run)
    splits.train.crash_at = None
    train(network(), config, splits, run, profile=True)
    assert "profile of step 6:" in capsys.readouterr().out  # of three in an epoch; one epoch was completed


def test_a_run_without_a_step_left(network, config, splits, start, capsys):
    run = start("run", config)
    train(network(), config, splits, run)
    train(network(), config, splits, run, profile=True)
    assert "--profile: there was no training step left to profile" in capsys.readouterr().out
    assert not (run.path / PROFILE_TABLES).exists()


def test_a_run_stopped_in_the_middle_of_its_profile(network, config, images, start, monkeypatch, capsys):
    config, splits = with_batches_of(config, images, 4)
    run = start("run", config)
    normal = parallel.pinned_blas
    steps = 0

    def stop_in_step_5():
        nonlocal steps
        steps += 1
        if steps == 5:
            assert tensor._state.observers
            raise KeyboardInterrupt
        return normal()

    monkeypatch.setattr("minicnn.training.step.pinned_blas", stop_in_step_5)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(network(), config, splits, run, profile=True)
    assert tensor._state.observers == []
    assert stopped.traceback  # until here everything that was under way is still in memory
    assert "profile" not in capsys.readouterr().out
    assert not (run.path / PROFILE_TABLES).exists()
