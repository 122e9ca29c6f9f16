"""Watching the gradients of a run: what is written, and that the run does not notice."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minicnn import study
from minicnn.errors import CheckpointError
from minicnn.training import GradientWatch, load_checkpoint, train
from minicnn.training.gradient_watch import GRADIENT_MAP, GRADIENTS, last_interval


def measure(model, images, labels, aux_weight):
    return {
        row.layer: {"norm": row.norm, **row.norms, "gradient_to_weight": row.ratio}
        for row in study.gradient_flow(model, images, labels, aux_weight).rows
    }


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)
    if "with_map" not in request.fixturenames:
        monkeypatch.setattr("minicnn.training.gradient_watch.draw_gradient_map", lambda *arguments: None)


@pytest.fixture
def with_map():
    """Ask for the heat map to be drawn."""


def assert_same_run(first, second):
    """Every bit of every array in the checkpoints, and every epoch's figures."""
    a, b = load_checkpoint(first.checkpoint_path), load_checkpoint(second.checkpoint_path)
    assert (a.epoch, a.step, a.state) == (b.epoch, b.step, b.state)
    for of_a, of_b in ((a.weights, b.weights), (a.velocity, b.velocity), (a.averages, b.averages)):
        assert of_a.keys() == of_b.keys()
        assert all(of_a[name].tobytes() == of_b[name].tobytes() for name in of_a)
    for row_a, row_b in zip(first.read_metrics(), second.read_metrics(), strict=True):
        clock = {"seconds", "images_per_second"}
        assert {**row_a, **dict.fromkeys(clock)} == {**row_b, **dict.fromkeys(clock)}


def lines(run):
    return [json.loads(line) for line in (run.path / GRADIENTS).read_text().splitlines()]


@pytest.mark.parametrize("every", [1, 2])
def test_a_watched_run_is_the_same_run(network, config, splits, start, every):
    plain, watched = start("plain", config), start("watched", config)
    train(network(), config, splits, plain)
    train(network(), config, splits, watched, gradients=GradientWatch(watched, every, measure))
    assert_same_run(plain, watched)
    found = lines(watched)
    assert [record["step"] for record in found] == list(range(0, 9, every))
    assert [record["epoch"] for record in found] == [step // 3 + 1 for step in range(0, 9, every)]
    assert list(found[0]["layers"]) == ["conv", "aux1", "aux2", "fc"]
    assert found[0]["layers"]["conv"] != found[-1]["layers"]["conv"]


def test_what_is_recorded_is_the_gradient_of_the_step(network, config, splits, start):
    """Without momentum and decay the first step moves the weights by lr times that gradient."""
    config = replace(
        config, epochs=1, schedule="constant", lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0,
        bias_lr_factor=1.0, average_epochs=0.0,
    )  # fmt: skip
    run, model = start("run", config), network()
    moved = {}
    before = model.state_dict()

    def measure_and_look(model, *batch):
        if not moved and any((model.state_dict()[name] != before[name]).any() for name in before):
            moved.update({name: before[name] - array for name, array in model.state_dict().items()})
        return measure(model, *batch)

    train(model, config, splits, run, gradients=GradientWatch(run, 1, measure_and_look))
    first = lines(run)[0]["layers"]
    for layer in ("conv", "aux1", "fc"):
        step = np.concatenate([array.ravel() for name, array in moved.items() if name.startswith(layer)])
        assert np.linalg.norm(step) == pytest.approx(0.5 * first[layer]["norm"], rel=1e-4), layer


@pytest.mark.parametrize("crash_at", [(0, 2), (1, 2)])
def test_resuming_goes_on_without_double_lines(network, config, splits, start, crash_at):
    whole, stopped = start("whole", config), start("stopped", config)
    train(network(), config, splits, whole, gradients=GradientWatch(whole, 2, measure))
    splits.train.crash_at = crash_at
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, stopped, gradients=GradientWatch(stopped, 2, measure))
    assert lines(stopped)
    with open(stopped.path / GRADIENTS, "a") as file:
        file.write('{"step": 99, "lay')  # the crash came while it was writing
    splits.train.crash_at = None
    train(network(), config, splits, stopped, gradients=GradientWatch(stopped, 2, measure))
    assert_same_run(whole, stopped)
    assert lines(stopped) == lines(whole)


@pytest.mark.parametrize(("crash_at", "steps"), [((0, 2), []), ((1, 2), [0, 2]), ((2, 2), [0, 2, 4])])
def test_resuming_unwatched_leaves_nothing_stale(network, config, splits, start, crash_at, steps):
    run = start("run", config)
    splits.train.crash_at = crash_at
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, run, gradients=GradientWatch(run, 2, measure))
    with open(run.path / GRADIENTS, "a") as file:
        file.write('{"step": 99, "lay')
    splits.train.crash_at = None
    assert last_interval(run) == 2
    train(network(), config, splits, run)
    assert [record["step"] for record in lines(run)] == steps


def test_watching_may_begin_later(network, config, splits, start):
    run = start("run", config)
    splits.train.crash_at = (1, 1)
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, run)
    splits.train.crash_at = None
    train(network(), config, splits, run, gradients=GradientWatch(run, 2, measure))
    assert [record["step"] for record in lines(run)] == [4, 6, 8]


def test_the_heat_map(network, config, splits, start, with_map):
    run = start("run", config)
    train(network(), config, splits, run, gradients=GradientWatch(run, 2, measure))
    with Image.open(run.path / GRADIENT_MAP) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
    assert not list(run.path.glob("*.tmp"))


@pytest.mark.parametrize("aux", [True, False])
def test_a_heat_map_of_what_is_missing(network, config, splits, start, with_map, aux):
    """Layers without a gradient, networks without heads, and numbers that were not finite."""
    config = replace(config, epochs=1, aux=aux)
    run = start("run", config)

    def nothing(model, *batch):
        return {layer: dict.fromkeys(row) for layer, row in measure(model, *batch).items()}

    train(network(aux=aux), config, splits, run, gradients=GradientWatch(run, 5, measure if aux else nothing))
    assert (run.path / GRADIENT_MAP).is_file()


@pytest.mark.parametrize("text", [b"no JSON\n", b"\xff\n", b"3\n", b"{}\n"])
def test_damaged_recordings(network, config, splits, start, text):
    run = start("run", config)
    (run.path / GRADIENTS).write_bytes(text)
    with pytest.raises(CheckpointError, match=r"gradients\.jsonl: damaged: line 1"):
        train(network(), config, splits, run, gradients=GradientWatch(run, 2, measure))
