"""The training loop on a tiny network: what it writes, and that nothing can make two equal runs differ."""

import io
import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minicnn import detect_anomaly, nn
from minicnn.random import Stream, counter_generator
from minicnn.training import NonFiniteLossError, RunFolder, evaluate, load_checkpoint, train
from minicnn.training.checkpoint import predecessor
from minicnn.training.run_folder import CHECKPOINT, CURVES, METRICS
from op_runs import tile_bytes

ROW = [
    "epoch", "step", "lr",
    "train_loss", "train_accuracy",
    "train_aux1_loss", "train_aux1_accuracy", "train_aux2_loss", "train_aux2_accuracy",
    "val_loss", "val_accuracy",
    "val_aux1_loss", "val_aux1_accuracy", "val_aux2_loss", "val_aux2_accuracy",
    "val_top5", "seconds", "images_per_second",
]  # fmt: skip
CLOCK = {"seconds", "images_per_second"}


def arrays_of(checkpoint) -> dict[str, np.ndarray]:
    groups = {"model": checkpoint.weights, "velocity": checkpoint.velocity, "average": checkpoint.averages}
    return {f"{kind}.{name}": array for kind, group in groups.items() for name, array in group.items()}


def assert_same_run(first: RunFolder, second: RunFolder) -> None:
    """Every bit of the arrays, everything else in the checkpoints, and the figures of every epoch."""
    a, b = load_checkpoint(first.checkpoint_path), load_checkpoint(second.checkpoint_path)
    assert (a.epoch, a.step, a.state) == (b.epoch, b.step, b.state)
    assert arrays_of(a).keys() == arrays_of(b).keys()
    for name, array in arrays_of(a).items():
        assert array.tobytes() == arrays_of(b)[name].tobytes(), name
    without_clock = [
        [{key: row[key] for key in row if key not in CLOCK} for row in run.read_metrics()]
        for run in (first, second)
    ]
    assert without_clock[0] == without_clock[1]


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Drawing takes longer than the rest of such a run; one test is enough to see that it is done."""
    if "with_curves" not in request.fixturenames:
        monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)


@pytest.fixture
def with_curves():
    """Ask for the curves to be drawn."""


def test_a_run_writes_what_it_should(network, config, splits, start, capsys, with_curves):
    run = start("run", config)
    result = train(network(), config, splits, run)

    rows = run.read_metrics()
    assert [list(row) for row in rows] == [ROW] * 3
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 3), (2, 6), (3, 9)]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert rows[0]["lr"] == 0.1
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert all(row["val_top5"] == 1.0 for row in rows), (
        "of three classes, the right one is among the best five"
    )

    assert list(result) == [
        "test_accuracy", "test_top5", "test_loss", "test_images", "epochs", "seconds", "parameters", "seed",
    ]  # fmt: skip
    assert result == run.read_result() == json.loads((run.path / "result.json").read_text())
    assert (result["epochs"], result["seed"], result["test_images"]) == (3, 3, 30)
    assert result["parameters"] == network().num_parameters()
    assert result["seconds"] == pytest.approx(sum(row["seconds"] for row in rows))

    with Image.open(run.path / CURVES) as curves:
        assert curves.format == "PNG"
        assert curves.size == (1650, 780)
    assert len(capsys.readouterr().out.splitlines()) >= 3, "one line an epoch"
    assert {path.name for path in run.path.iterdir()} == {
        "config.json", "metrics.jsonl", "checkpoint.safetensors", "checkpoint.previous.safetensors",
        "curves.png", "result.json", "run.lock",
    }  # fmt: skip


def test_the_network_learns_colours(network, config, splits, start):
    config = replace(config, epochs=25, schedule="one-cycle", average_epochs=0.0)
    result = train(network(), config, splits, start("run", config))
    assert result["test_accuracy"] > 0.9


def test_a_limit_on_the_gradients_limits_every_step(network, config, splits, start):
    config = replace(
        config, clip_norm=1e-3, schedule="constant", lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0,
        bias_lr_factor=1.0,
        average_epochs=0.0,
    )  # fmt: skip
    model = network()
    before = model.state_dict()
    train(model, config, splits, start("run", config))
    moved = math.sqrt(sum(((after - before[name]) ** 2).sum() for name, after in model.state_dict().items()))
    assert 0 < moved <= 9 * 0.1 * 1e-3 * (1 + 1e-4), "nine steps"


def test_test_images_are_used_once_and_last(network, config, splits, start):
    run = start("run", config)
    train(network(), config, splits, run)
    assert (splits.train.iterations, splits.val.iterations, splits.test.iterations) == (3, 3, 1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("crash_at", [(0, 1), (1, 2), (2, 0)])
def test_a_resumed_run_is_the_same_run(network, config, splits, start, keep_threads, threads, crash_at):
    keep_threads(2)
    whole = start("whole", config)
    train(network(), config, splits, whole)

    keep_threads(threads)
    stopped = start("stopped", config)
    splits.train.crash_at = crash_at
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, stopped)
    assert len(stopped.read_metrics()) == crash_at[0]
    splits.train.crash_at = None
    train(network(), config, splits, stopped)
    assert_same_run(whole, stopped)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_a_run_does_not_depend_on_the_number_of_threads(
    network, config, splits, start, keep_threads, threads
):
    """Nor on whether a detector looks on; tiles so small that every thread gets some."""
    runs = [start("alone", config), start("together", config)]
    with tile_bytes(1 << 10):
        keep_threads(1)
        train(network(), config, splits, runs[0])
        keep_threads(threads)
        with detect_anomaly():
            train(network(), config, splits, runs[1])
    assert_same_run(*runs)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_run_does_not_depend_on_whether_its_progress_is_shown(network, config, splits, start, monkeypatch):
    runs = [start("silent", config), start("shown", config)]
    train(network(), config, splits, runs[0])
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    train(network(), config, splits, runs[1])
    assert "images/s" in terminal.getvalue()
    assert_same_run(*runs)


def test_resuming_goes_on_from_the_checkpoint_alone(network, config, splits, start):
    """A network that was initialised otherwise shows that nothing of it survives."""
    whole, stopped = start("whole", config), start("stopped", config)
    train(network(), config, splits, whole)
    splits.train.crash_at = (2, 1)
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, stopped)
    splits.train.crash_at = None
    train(network(seed=99), config, splits, stopped)
    assert_same_run(whole, stopped)


def test_a_damaged_checkpoint_sends_the_run_back_to_the_one_before(network, config, splits, start, capsys):
    whole, stopped = start("whole", config), start("stopped", config)
    train(network(), config, splits, whole)
    splits.train.crash_at = (2, 1)
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, stopped)
    splits.train.crash_at = None
    newest = stopped.checkpoint_path
    newest.write_bytes(newest.read_bytes()[:-100])
    capsys.readouterr()
    train(network(), config, splits, stopped)
    assert "going back to checkpoint.previous.safetensors, after epoch 1" in capsys.readouterr().out
    assert_same_run(whole, stopped)


def test_a_crash_between_metrics_and_checkpoint_leaves_no_double_line(network, config, splits, start):
    run = start("run", config)
    splits.train.crash_at = (1, 0)
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, run)
    with open(run.path / METRICS, "a") as file:
        file.write('{"epoch": 2, "step": 6}\n{"epoch": 3, "st')
    splits.train.crash_at = None
    train(network(), config, splits, run)
    assert [row["epoch"] for row in run.read_metrics()] == [1, 2, 3]


def test_a_run_stopped_before_its_test_is_only_tested(network, config, splits, start):
    run = start("run", config)
    result = train(network(), config, splits, run)
    (run.path / "result.json").unlink()
    again = train(network(seed=99), config, splits, run)
    assert splits.train.iterations == 3
    assert again == result


def test_settings_matter(network, config, splits, start):
    """What must change the arrays does: otherwise the tests above compare nothing."""
    runs = []
    for name, changed in (
        ("a", {}),
        ("b", {"seed": 4}),
        ("c", {"nesterov": False}),
        ("d", {"bias_lr_factor": 1.0}),
        ("e", {"aux_weight": 0.0}),
    ):
        config_ = replace(config, epochs=1, **changed)
        run = start(name, config_)
        train(network(), config_, splits, run)
        runs.append(load_checkpoint(run.checkpoint_path).weights["conv.weight"])
    assert all((runs[0] != other).any() for other in runs[1:])


def test_dropout_is_a_function_of_where_in_training_it_is(network, config, splits, start, monkeypatch):
    asked = []

    def record(*arguments):
        asked.append(arguments)
        return counter_generator(*arguments)

    monkeypatch.setattr("minicnn.training.step.counter_generator", record)
    train(network(), config, splits, start("run", config))
    assert asked == [(3, Stream.DROPOUT, epoch, step, 0) for epoch in range(3) for step in range(3)]


def test_a_network_given_in_evaluation_mode_is_trained_all_the_same(network, config, splits, start):
    first, second = start("a", config), start("b", config)
    train(network(), config, splits, first)
    train(network().eval(), config, splits, second)
    assert_same_run(first, second)


def test_a_plateau_schedule_is_remembered(network, config, splits, start):
    """At such a rate nothing improves, and the rate falls after every epoch but the first."""
    config = replace(config, lr=1e-7, epochs=5)
    run = start("run", config)
    splits.train.crash_at = (3, 1)
    with pytest.raises(KeyboardInterrupt):
        train(network(), config, splits, run)
    splits.train.crash_at = None
    train(network(), config, splits, run)
    rates = [row["lr"] for row in run.read_metrics()]
    assert rates == pytest.approx([1e-7, 1e-7, 1e-8, 1e-9, 1e-10])


def test_averages_are_what_is_measured_and_kept(network, config, splits, start):
    run = start("run", config)
    train(network(), config, splits, run)
    checkpoint = load_checkpoint(run.checkpoint_path)
    assert checkpoint.averages.keys() == checkpoint.weights.keys()
    assert (checkpoint.final_weights["fc.weight"] == checkpoint.averages["fc.weight"]).all()
    assert (checkpoint.averages["fc.weight"] != checkpoint.weights["fc.weight"]).any()
    model = network(seed=99)
    model.load_state_dict(checkpoint.averages)
    measured = evaluate(model, splits.test.epoch(0), heads=False)["main"]
    assert measured.loss == run.read_result()["test_loss"]
    plain = replace(config, average_epochs=0.0)
    other = start("plain", plain)
    train(network(), plain, splits, other)
    assert other.read_metrics()[0]["val_loss"] != run.read_metrics()[0]["val_loss"]
    assert other.read_metrics()[0]["train_loss"] == run.read_metrics()[0]["train_loss"]


def test_a_network_without_heads(network, config, splits, start):
    config = replace(config, aux=False, epochs=1)
    run = start("run", config)
    train(network(aux=False), config, splits, run)
    (row,) = run.read_metrics()
    assert list(row) == ROW
    assert row["train_aux1_loss"] is row["val_aux2_accuracy"] is None


def test_divergence_stops_with_a_clear_line(network, config, splits, start):
    """Nothing is kept of the epoch in which it happened, and NumPy's warnings (errors here) are not heard."""
    config = replace(config, schedule="step", step_epochs=1, step_factor=1e31)
    run = start("run", config)
    with pytest.raises(
        NonFiniteLossError,
        match=r"^the loss became (nan|inf) at step \d in epoch 2, at a learning rate of 1e\+30 "
        r"\(the first of these numbers came from \w+ in \w+\): training has diverged; the last good "
        r"checkpoint is .*run.checkpoint.safetensors \(epoch 1\); to start again, try --lr 0\.05: "
        r"--lr 0\.1 is 2 times the default; try --clip-norm 2: .*$",
    ):
        train(network(), config, splits, run)
    assert load_checkpoint(run.path / CHECKPOINT).epoch == 1
    assert not predecessor(run.checkpoint_path).exists()


def test_divergence_in_the_last_step_of_an_epoch_is_not_saved(network, config, splits, start):
    config = replace(config, batch_size=60, lr=1e38, schedule="constant", average_epochs=0.0)
    splits.train.batch_size = 60
    run = start("run", config)
    with pytest.raises(NonFiniteLossError, match=r"validation loss became .*; no epoch was completed"):
        train(network(), config, splits, run)
    assert not run.checkpoint_path.exists()


class SteepAtZero(nn.Module):
    """Adds a parameter's square root, which is finite at 0, while its slope there is not."""

    def __init__(self, network):
        super().__init__()
        self.inner = network
        self.offset = nn.Parameter(np.zeros(1, np.float32))

    def forward(self, x, heads=None):
        out = self.inner(x, heads)
        return out._replace(logits=out.logits + self.offset.sqrt())


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_moves_nothing(network, config, splits, start, clip_norm):
    """Though the loss is finite; without the guard all of the weights would be, or none after clipping."""
    config = replace(config, clip_norm=clip_norm)
    model = SteepAtZero(network())
    before = model.state_dict()
    with pytest.raises(
        NonFiniteLossError,
        match=r"^a gradient was not finite, at a loss of \d\.\d+, at step 1 in epoch 1, .* "
        r"\(the first of these numbers came from the gradient of x in sqrt\): training has diverged",
    ):
        train(model, config, splits, start("run", config))
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_divergence_does_not_depend_on_whether_numpy_raises(network, config, splits, start):
    """A user's own settings of NumPy stay as they were, in this thread and in the warnings of all."""
    filters, errors = list(warnings.filters), np.geterr()
    config = replace(config, lr=1e38, schedule="constant")
    with np.errstate(all="raise"), pytest.raises(NonFiniteLossError):
        train(network(), config, splits, start("run", config))
    assert np.geterr() == errors
    assert warnings.filters == filters


def test_a_plateau_is_put_in_words(network, config, splits, start, capsys):
    config = replace(config, schedule="constant", epochs=2)
    model = network()
    model.conv.bias.data[...] = -1000.0  # no ReLU opens: nothing of the image comes through
    train(model, config, splits, start("run", config))
    said = capsys.readouterr().out
    assert said.count("plateau at step") == 1, "once is enough"
    said = " ".join(said.split())
    assert "the loss of all heads over the last 3 steps is that of guessing, ln(3) = 1.099 (main 1." in said


def test_the_rate_follows_the_schedule(network, config, splits, start):
    config = replace(config, schedule="poly", poly_power=1.0)
    run = start("run", config)
    train(network(), config, splits, run)
    assert [row["lr"] for row in run.read_metrics()] == pytest.approx([0.1 * 7 / 9, 0.1 * 4 / 9, 0.1 * 1 / 9])
