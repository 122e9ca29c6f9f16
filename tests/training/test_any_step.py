"""Checkpoints within an epoch: a run that goes on from any of them is as if it had never stopped."""

import contextlib
import errno
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from disk import Disk
from minicnn.errors import CheckpointError
from minicnn.training import (
    GradientWatch,
    NotKeptError,
    RunFolder,
    StopRequest,
    TrainingStopped,
    load_checkpoint,
    train,
)  # fmt: skip
from minicnn.training import durable as durable_module
from minicnn.training.checkpoint import save_checkpoint
from minicnn.training.newest_checkpoint import CHECKPOINT
from minicnn.training.watch.plateau import PlateauWatch

FILES = ("metrics.jsonl", "findings.jsonl", "gradients.jsonl")
STEPS = 9  # three epochs of three


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)
    monkeypatch.setattr("minicnn.training.gradient_watch.draw_gradient_map", lambda *arguments: None)


@pytest.fixture
def config(config):
    """An epoch is judged by its last step alone, so that what was before it has to be remembered."""
    return replace(config, lr=1e-7)


@pytest.fixture(autouse=True)
def short_window(monkeypatch):
    monkeypatch.setattr("minicnn.training.watch.plateau.WINDOW", 1)


def measure(model, images, labels, aux_weight):
    return {"conv": {"norm": float(np.abs(model.conv.weight.data).sum()), "main": float(images.sum())}}


class StopAfter(StopRequest):
    """Asks to stop at the `checks`-th occasion: after each step, and before each batch of an evaluation."""

    def __init__(self, checks: int, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.checks = checks
        self.asked = number

    def check(self) -> None:
        self.checks -= 1
        if self.checks == 0:
            self.number = self.asked
        super().check()


def go(network, config, splits, run, stop=None, **settings):
    model = network()
    model.aux1.weight.data[...] = 0.0  # at this rate a head that has not learned, so that there are findings
    return train(model, config, splits, run, gradients=GradientWatch(run, 2, measure), stop=stop, **settings)


def bits_of(path) -> dict[str, bytes]:
    read = load_checkpoint(path)
    groups = {"model": read.weights, "velocity": read.velocity, "average": read.averages}
    return {f"{kind}.{name}": array.tobytes() for kind, of in groups.items() for name, array in of.items()}


def lines_of(run: RunFolder) -> dict[str, list]:
    clock = {"seconds": 0, "images_per_second": 0}
    found = {}
    for name in FILES:
        lines = (run.path / name).read_text().splitlines()
        found[name] = [{**row, **clock} if name == FILES[0] else row for row in map(json.loads, lines)]
    return found


def assert_same(first: RunFolder, second: RunFolder) -> None:
    assert bits_of(first.checkpoint_path) == bits_of(second.checkpoint_path)
    a, b = load_checkpoint(first.checkpoint_path), load_checkpoint(second.checkpoint_path)
    assert (a.epoch, a.step, a.state) == (b.epoch, b.step, b.state)
    assert lines_of(first) == lines_of(second)
    results = [{**run.read_result(), "seconds": 0} for run in (first, second)]
    assert results[0] == results[1]


@pytest.fixture
def whole(network, config, splits, start) -> RunFolder:
    run = start("whole", config)
    go(network, config, splits, run)
    return run


def test_there_is_something_to_compare(whole):
    assert all(lines_of(whole).values())


def test_stopped_at_every_occasion(network, config, splits, start, whole, keep_threads):
    """After each step, in each validation and in the test: every one is kept, and nothing is done twice."""
    per_epoch = 3 + 1  # steps, and batches of validation
    occasions = 3 * per_epoch + len(splits.test)
    for occasion in range(1, occasions + 1):
        keep_threads(1 + occasion % 2)
        run = start(f"stopped {occasion}", config)
        with pytest.raises(TrainingStopped) as stopped:
            go(network, config, splits, run, StopAfter(occasion))
        epoch, within = divmod(occasion - 1, per_epoch)
        steps = min(epoch * 3 + min(within + 1, 3), STEPS)
        kept = load_checkpoint(run.checkpoint_path)
        assert (kept.step, stopped.value.number) == (steps, signal.SIGTERM)
        assert str(stopped.value) == f"stopped; {kept.place} is kept"
        keep_threads(2 - occasion % 2)
        go(network, config, splits, run)
        assert_same(whole, run)


def test_stopped_after_every_few_steps(network, config, splits, start, whole):
    """Three occasions in a process's life, and the next process goes on."""
    run = start("stopped", config)
    lives = 0
    while run.read_result() is None and lives < 20:
        lives += 1
        with contextlib.suppress(TrainingStopped):
            go(network, config, splits, RunFolder.open(run.path), StopAfter(3))
    assert lives == 6
    assert_same(whole, run)


def test_the_judge_of_an_epoch_remembers_its_beginning(network, config, splits, start, monkeypatch):
    judged = []
    original = PlateauWatch.after_epoch

    def remember(self, step, training, validation):
        judged.append({head: training[head] - totals for head, totals in self.before.items()})
        return original(self, step, training, validation)

    monkeypatch.setattr(PlateauWatch, "after_epoch", remember)
    go(network, config, splits, start("uninterrupted", config))
    expected, run = judged[:], start("stopped", config)
    assert [head["main"].images for head in expected] == [16, 16, 16], "of the last step alone"
    judged.clear()
    with pytest.raises(TrainingStopped):
        go(network, config, splits, run, StopAfter(4))  # in the first validation
    go(network, config, splits, run)
    assert judged == expected


def test_checkpoints_between_epochs_change_nothing(network, config, splits, start, whole, monkeypatch):
    saved = []
    original = RunFolder.save_checkpoint

    def remember(self, checkpoint):
        saved.append((checkpoint.epoch, checkpoint.step_of_epoch))
        return original(self, checkpoint)

    monkeypatch.setattr(RunFolder, "save_checkpoint", remember)
    run = start("often", config)
    go(network, config, splits, run, checkpoint_minutes=1e-9)
    assert saved == [(epoch + step // 4, step % 4) for epoch in range(3) for step in range(1, 5)]
    assert_same(whole, run)
    saved.clear()
    go(network, config, splits, start("seldom", config))
    assert saved == [(1, 0), (2, 0), (3, 0)]


def test_a_crash_goes_back_to_the_last_checkpoint_within_the_epoch(
    network, config, splits, start, whole, capsys
):
    run = start("crashed", config)
    splits.train.crash_at = (1, 2)
    with pytest.raises(KeyboardInterrupt):
        go(network, config, splits, run, checkpoint_minutes=1e-9)
    splits.train.crash_at = None
    assert load_checkpoint(run.checkpoint_path).place == "step 2 of epoch 2"
    run.checkpoint_path.write_bytes(b"damaged")
    (run.path / "metrics.jsonl").unlink()  # the checkpoint knows them
    go(network, config, splits, run)
    assert "going back to checkpoint.previous.safetensors, after step 1 of epoch 2" in capsys.readouterr().out
    assert_same(whole, run)


def test_a_run_of_an_earlier_version_goes_on(network, config, splits, start, whole):
    """Its checkpoint has no lines of metrics.jsonl; the file has."""
    run = start("old", config)
    with pytest.raises(TrainingStopped):
        go(network, config, splits, run, StopAfter(2 * 4 + 1))
    old = replace(load_checkpoint(run.path / "checkpoint.previous.safetensors"), metrics=None)
    assert (old.epoch, old.step_of_epoch) == (2, 0)
    save_checkpoint(old, run.checkpoint_path)
    go(network, config, splits, run)
    assert_same(whole, run)


def full(monkeypatch, is_full):
    """Let files not grow while `is_full()`."""

    def before(number: int, name: str) -> None:
        if name == "write" and is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable_module, "os", Disk(before))


def test_a_disk_that_is_full_for_an_epoch(network, config, splits, start, whole, monkeypatch, capsys):
    run = start("full", config)
    full(monkeypatch, lambda: splits.train.iterations == 5)  # three were the whole run's: the second epoch
    go(network, config, splits, run)
    out = capsys.readouterr().out
    for name in ("metrics.jsonl", "gradients.jsonl", CHECKPOINT):
        assert out.count(f"{run.path / name}: cannot be written: No space left on device (") == 1
        assert out.count(f"{run.path / name}: is written again") == 1
    assert_same(whole, run)


def test_a_disk_that_stays_full(network, config, splits, start, whole, monkeypatch, capsys):
    """Training goes on to the end and says what is lost; once there is room, the same run comes out."""
    run = start("full", config)
    there_is_room = False
    full(monkeypatch, lambda: splits.train.iterations >= 5 and not there_is_room)
    with pytest.raises(NotKeptError) as error:
        go(network, config, splits, run)
    assert splits.train.iterations == 6
    message = str(error.value)
    assert message.startswith("training has ended (test accuracy ")
    assert f"not everything could be written to {run.path} (" in message
    assert "checkpoint.safetensors: No space left on device (" in message
    assert (
        "; what was trained since epoch 1 is lost; see to that, then continue with minicnn train --resume"
        in message
    )
    assert run.read_result() is None
    assert load_checkpoint(run.checkpoint_path).epoch == 1
    with pytest.raises(OSError, match=r"No space left on device: .*metrics\.jsonl"):
        go(network, config, splits, run)  # nothing to lose: refused at the start
    there_is_room = True
    go(network, config, splits, run)
    assert_same(whole, run)


def test_stopped_on_a_full_disk(network, config, splits, start, monkeypatch, capsys):
    run = start("full", config)
    full(monkeypatch, lambda: True)
    with pytest.raises(
        NotKeptError, match=r"^stopped after step 2 of epoch 1, but .* trained from the start is lost"
    ):
        go(network, config, splits, run, StopAfter(2))


def test_pictures_that_cannot_be_drawn(network, config, splits, start, monkeypatch, capsys):
    def draw(*arguments):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("minicnn.training.loop.draw_curves", draw)
    run = start("run", config)
    with pytest.raises(
        NotKeptError, match=r"curves.png: Read-only file system \([\d,.]+ MB free\)\); see to that"
    ):
        go(network, config, splits, run)
    assert capsys.readouterr().out.count("curves.png: cannot be written: Read-only") == 1
    assert run.read_result()["epochs"] == 3


def test_a_second_training_of_one_folder_is_refused(network, config, splits, start):
    run = start("run", config)
    with run.locked(), pytest.raises(CheckpointError, match="is training this run; wait until it ends"):
        go(network, config, splits, RunFolder.open(run.path))
    go(network, config, splits, run)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.weights.pop("fc.bias"), r"the checkpoint lacks model\.fc\.bias"),
        (lambda c: c.weights.update(x=np.zeros(1)), r"the checkpoint has, .* does not have, model\.x"),
        (
            lambda c: c.velocity.update({"fc.bias": np.zeros(3)}),
            r"velocity\.fc\.bias: expected float32 of shape \(3,\), got float64 of shape \(3,\)",
        ),
        (
            lambda c: c.averages.update({"fc.bias": np.zeros(4, np.float32)}),
            r"average\.fc\.bias: expected float32 of shape \(3,\), got float32 of shape \(4,\)",
        ),
        (lambda c: c.averages.clear(), r"the checkpoint lacks average\.aux1\.bias and \d more"),
        (lambda c: c.state.pop("schedule"), "the checkpoint lacks 'schedule'"),
        (lambda c: setattr(c, "step", 5), "of another run: expected 9 steps after epoch 3, .* got 5"),
        (
            lambda c: setattr(c, "config", replace(c.config, lr=0.5, seed=9)),
            r"of another run: --seed was 9 and is 3, --lr was 0\.5 and is 1e-07",
        ),
        (
            lambda c: setattr(c, "data", replace(c.data, train_images=c.data.train_images + 1)),
            "of another run, on other images than these",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(network, config, splits, whole, change, words):
    (whole.path / "result.json").unlink()
    checkpoint = load_checkpoint(whole.checkpoint_path)
    change(checkpoint)
    save_checkpoint(checkpoint, whole.checkpoint_path)
    with pytest.raises(CheckpointError, match=words) as error:
        go(network, config, splits, whole)
    assert str(error.value).startswith(f"{whole.checkpoint_path}: ")
