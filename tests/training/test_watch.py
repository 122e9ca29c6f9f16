"""The watch: what each detector recognises, its silence on what learns, and that a run does not notice it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minicnn import Tensor, nn, optim
from minicnn import functional as F
from minicnn.errors import CheckpointError
from minicnn.training import NonFiniteLossError, RunFolder, load_checkpoint, train
from minicnn.training.state import TrainingState
from minicnn.training.watch import FAILURES, FINDINGS, TrainingWatch, examine
from minicnn.training.watch.training_watch import News

LABELS = np.arange(16) % 3


class Deep(nn.Module):
    """Three convolutions with a head after the first: enough for a trunk that dies above a head."""

    def __init__(self, activation="relu", scheme="he") -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, activation=activation, rng=rng)
        self.aux1 = nn.Linear(8, 3, rng=rng)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, activation=activation, rng=rng)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1, activation=activation, rng=rng)
        self.dropout = nn.Dropout(0.5, rng=rng)
        self.fc = nn.Linear(8, 3, rng=rng)
        nn.initialise(self, scheme, rng)

    def forward(self, x: Tensor, heads: bool | None = None) -> nn.GoogLeNetOutput:
        x = self.conv1(x)
        aux1 = self.aux1(F.global_avg_pool2d(x)) if (self.training if heads is None else heads) else None
        x = F.global_avg_pool2d(self.conv3(self.conv2(x)))
        return nn.GoogLeNetOutput(self.fc(self.dropout(x)), aux1, None)


def pictures() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(16, 8, 8, 3)).astype(np.float32)


def look(model: nn.Module, lr: float = 0.01, steps: int = 1):
    optimizer = optim.SGD(model.parameters(), lr)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.total_loss(model(Tensor(pictures())), LABELS).backward()
        optimizer.step()
    return examine(model, pictures(), LABELS, optimizer, 0.3, heads=True)


def findings(model: nn.Module, **settings) -> dict[str, object]:
    return {finding.kind: finding for finding in News().of(look(model, **settings))}


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("steps", [1, 20])
def test_a_healthy_network_is_no_news(activation, steps):
    assert findings(Deep(activation), steps=steps) == {}


def test_dead_relus_above_a_head():
    model = Deep()
    model.conv2.bias.data[...] = -100.0
    found = findings(model)
    assert found.keys() == {"dead ReLUs", "dead trunk"}, "that dead layers have no gradient is no news"
    assert found["dead ReLUs"].where == {"conv2": 1.0, "conv3": 1.0}
    assert "conv2 (100%)" in found["dead ReLUs"].seen
    assert found["dead trunk"].seen == (
        "next to nothing of the images gets past conv2: nothing in its output differs from image to image; "
        "aux1 below it can still learn, what is above cannot."
    )


def test_some_dead_units_are_not_a_dead_layer():
    model = Deep()
    model.conv2.bias.data[:4] = -10.0
    assert look(model).dead["conv2"] == pytest.approx(0.5, abs=0.13)
    assert findings(model) == {}


def test_a_head_below_that_is_dead_too_is_not_said_to_learn():
    model = Deep()
    model.conv1.bias.data[...] = -100.0
    assert findings(model)["dead trunk"].seen.endswith(
        "gets past conv1: nothing in its output differs from image to image."
    )


def test_zero_initialisation():
    found = findings(Deep(scheme="zero"))
    assert found.keys() == {"equal units", "dead trunk"}, "what follows from equal units is not said again"
    assert list(found["equal units"].where) == ["conv1", "aux1", "conv2", "conv3", "fc"]
    assert "(they are zero)" in found["equal units"].seen
    assert "--initialisation he" in found["equal units"].advice


def test_equal_units_that_are_not_zero():
    model = Deep()
    model.conv3.weight.data[...] = 0.1
    found = findings(model, steps=0)["equal units"]
    assert list(found.where) == ["conv3"]
    assert "zero" not in found.seen


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_saturation(activation):
    model = Deep(activation)
    model.conv2.weight.data *= 1000
    found = findings(model)
    assert list(found["saturation"].where) == ["conv2"]
    assert found["saturation"].where["conv2"] > 0.8


def test_sigmoids_squeeze_the_signal():
    """Three of them are no harm yet; with weights as small as these they are."""
    assert "dead trunk" not in findings(Deep("sigmoid"))
    model = Deep("sigmoid")
    for layer in (model.conv1, model.conv2, model.conv3):
        layer.weight.data *= 0.02
    assert "dead trunk" in findings(model)


def test_vanishing_gradient():
    model = Deep("tanh")
    model.conv3.weight.data *= 1e-3
    assert list(findings(model, steps=0)["vanishing gradient"].where) == ["conv2"]


def test_exploding_steps():
    found = findings(Deep(), lr=1e4)
    assert "fc" in found["exploding steps"].where
    assert "--clip-norm 2" in str(found["exploding steps"])


def test_figures_are_what_they_say():
    """Gradient and move by hand, for one step of plain descent."""
    model = Deep()
    found = look(model, lr=0.01)
    optimizer = optim.SGD(model.parameters(), 0.01)
    model.eval().zero_grad()
    nn.total_loss(model(Tensor(pictures()), heads=True), LABELS, 0.3).backward()
    w, b = model.conv2.weight, model.conv2.bias
    norm = np.sqrt((w.data**2).sum() + (b.data**2).sum())
    gradient = np.sqrt((w.grad**2).sum() + (b.grad**2).sum())
    assert found.gradients["conv2"] == pytest.approx(gradient / norm, rel=1e-4)
    optimizer.step()
    again = examine(model, pictures(), LABELS, optimizer, 0.3, heads=True)
    assert again.moves["conv2"] == pytest.approx(0.01 * gradient / norm, rel=1e-2)
    x = F.conv2d(Tensor(pictures()), model.conv1.weight, model.conv1.bias, padding=1).relu().data
    spread = np.sqrt(x.astype(np.float64).var(axis=0).mean() / (x.astype(np.float64) ** 2).mean())
    assert again.signals["conv1"] == pytest.approx(spread, rel=1e-5)


def test_looking_leaves_everything_as_it_was():
    model = Deep()
    model.conv2.eval()
    optimizer = optim.SGD(model.parameters(), 0.01)
    nn.total_loss(model(Tensor(pictures())), LABELS).backward()
    before = [(p.data.copy(), p.grad) for p in model.parameters()]
    drawn = model.dropout.rng.bit_generator.state
    examine(model, pictures(), LABELS, optimizer, 0.3, heads=True)
    assert model.dropout.rng.bit_generator.state == drawn
    assert (model.training, model.conv2.training) == (True, False)
    for parameter, (data, grad) in zip(model.parameters(), before, strict=True):
        assert parameter.data.tobytes() == data.tobytes()
        assert parameter.grad is grad


def test_news_is_said_once_and_taken_back_once():
    news, healthy, sick = News(), look(Deep()), replace(look(Deep()), dead={"conv1": 0.9, "conv2": 0.2})
    worse, wobbling = replace(sick, dead={"conv1": 0.9, "conv2": 0.85}), replace(sick, dead={"conv1": 0.7})
    said = [
        [str(f) for f in news.of(found)] for found in (healthy, sick, sick, worse, wobbling, healthy, healthy)
    ]
    assert [len(of_look) for of_look in said] == [0, 1, 0, 1, 0, 1, 0]
    assert "conv1 (90%)" in said[1][0]
    assert "conv2 (85%)" in said[3][0]
    assert "What usually helps" in said[1][0]
    assert "What usually helps" not in said[3][0], "once is enough"
    assert "conv1" not in said[3][0]
    assert said[5] == ["dead ReLUs: this is over."]


def test_every_failure_has_room_between_caught_and_over():
    assert all(failure.caught != failure.over and failure.advice for failure in FAILURES)


# ---- in a run ----


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)


@pytest.fixture
def start(tmp_path, splits):
    return lambda name, config: RunFolder.create(tmp_path / name, config, splits.facts)


def lines(run: RunFolder) -> list[dict[str, object]]:
    path = run.path / FINDINGS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def dead(network, **settings):
    model = network(**settings)
    model.conv.bias.data[...] = -1000.0
    return model


@pytest.mark.parametrize("make", ["healthy", "dead"])
def test_a_watched_run_is_the_same_run(network, config, splits, start, monkeypatch, make):
    watched, alone = start("watched", config), start("alone", config)
    made = network if make == "healthy" else lambda: dead(network)
    train(made(), config, splits, watched)
    monkeypatch.setattr(TrainingWatch, "_look", lambda self: [])
    train(made(), config, splits, alone)
    a, b = load_checkpoint(watched.checkpoint_path), load_checkpoint(alone.checkpoint_path)
    for of_a, of_b in ((a.weights, b.weights), (a.velocity, b.velocity), (a.averages, b.averages)):
        assert all(of_a[name].tobytes() == of_b[name].tobytes() for name in of_a)
    losses = [[row["train_loss"] for row in run.read_metrics()] for run in (watched, alone)]
    assert losses[0] == losses[1]
    assert bool(lines(watched)) is (make == "dead")


def test_a_dead_run_is_told_early_and_summed_up(network, config, splits, start, capsys):
    run = start("run", config)
    train(dead(network), config, splits, run)
    said = capsys.readouterr().out.splitlines()
    first = next(i for i, line in enumerate(said) if line.startswith("dead ReLUs: "))
    assert first < next(i for i, line in enumerate(said) if line.startswith("epoch 1/3"))
    assert sum(line.startswith("dead ReLUs: ") for line in said) == 1, "once is enough"
    assert said[-1].startswith("what the watch saw: ")
    assert "dead ReLUs in conv (from step 2 on)" in said[-1]
    record = next(line for line in lines(run) if line["kind"] == "dead ReLUs")
    assert (record["step"], record["epoch"], record["where"], record["over"]) == (2, 1, {"conv": 1.0}, False)


@pytest.mark.parametrize("crash_at", [(0, 2), (1, 1), (2, 2)])
def test_resuming_goes_on_without_double_lines(network, config, splits, start, crash_at):
    whole, stopped = start("whole", config), start("stopped", config)
    train(dead(network), config, splits, whole)
    splits.train.crash_at = crash_at
    with pytest.raises(KeyboardInterrupt):
        train(dead(network), config, splits, stopped)
    assert lines(stopped)
    with open(stopped.path / FINDINGS, "a") as file:
        file.write('{"step": 99, "ki')  # the crash came while it was writing
    splits.train.crash_at = None
    train(dead(network), config, splits, stopped)
    assert lines(stopped) == lines(whole)


def test_damaged_findings(network, config, splits, start):
    run = start("run", config)
    (run.path / FINDINGS).write_text("no JSON\n")
    with pytest.raises(CheckpointError, match=r"findings\.jsonl: damaged: line 1"):
        train(network(), config, splits, run)


def test_divergence_says_what_was_seen_before(network, config, splits, start):
    config = replace(config, schedule="step", step_epochs=1, step_factor=1e31)
    run = start("run", config)
    with pytest.raises(
        NonFiniteLossError,
        match=r"--lr; before that: .*dead ReLUs in conv \(from step 2 on\)",
    ):
        train(dead(network), config, splits, run)
    (record,) = [line for line in lines(run) if line["kind"] == "not finite"]
    assert "came from" in record["seen"] or "holds numbers" in record["seen"]


def test_no_memory_to_look_is_no_reason_to_stop(network, config, splits, start, monkeypatch):
    def full(*arguments):
        raise MemoryError

    monkeypatch.setattr("minicnn.training.watch.training_watch.examine", full)
    assert train(network(), config, splits, start("run", config))["epochs"] == 3


def test_what_is_over_in_part_goes_on(network, config, splits, start):
    run = start("run", config)
    records = [
        {"step": 0, "epoch": 1, "kind": "plateau", "where": {"main": 2.3, "aux1": 2.3}, "over": False},
        {"step": 0, "epoch": 1, "kind": "plateau", "where": {"main": 1.0}, "over": True},
    ]
    (run.path / FINDINGS).write_text("".join(json.dumps(record) + "\n" for record in records))
    watch = TrainingWatch(network(), TrainingState(network(), config, 3), splits, run)
    assert watch.so_far() == "plateau in main and 1 more (from step 0 on)"
    assert watch.plateau.stuck == {"aux1"}
