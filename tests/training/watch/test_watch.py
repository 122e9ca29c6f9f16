"""The watch: what each detector recognises, its silence on what learns, and that a run does not notice it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minicnn import Tensor, nn, optim
from minicnn import functional as F
from minicnn.errors import CheckpointError
from minicnn.training import Config, NonFiniteLossError, RunFolder, load_checkpoint, train
from minicnn.training.state import TrainingState
from minicnn.training.watch import FAILURES, FINDINGS, News, TrainingWatch, examine

LABELS = np.arange(16) % 3
SETTINGS = Config(epochs=3, batch_size=64, lr=2.0, schedule="one-cycle", clip_norm=2.0, initialisation="zero")


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
    return {finding.kind: finding for finding in News(SETTINGS).of(look(model, **settings), 25)}


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
        "from conv2 on it hardly matters what the image is: nothing of its output differs from image to "
        "image; 5% or more in runs that learn. aux1 below it can still learn, what is above cannot."
    )
    assert str(found["dead ReLUs"]) == (
        "dead ReLUs at step 25: no image switches on most units of conv2 (100%) and conv3 (100%); in runs\n"
        "  that learn at most 50% are off. They have no gradient to come back with: it takes a new start.\n"
        "  try --lr 0.05: --lr 2 is 40 times the default"
    )


def test_some_dead_units_are_not_a_dead_layer():
    model = Deep()
    model.conv2.bias.data[:4] = -10.0
    assert look(model).dead["conv2"] == pytest.approx(0.5, abs=0.13)
    assert findings(model) == {}


def test_a_head_below_that_is_dead_too_is_not_said_to_learn():
    model = Deep()
    model.conv1.bias.data[...] = -100.0
    seen = findings(model)["dead trunk"].seen
    assert seen.startswith("from conv1 on")
    assert "aux1" not in seen


def test_zero_initialisation():
    found = findings(Deep(scheme="zero"))
    assert found.keys() == {"equal units", "dead trunk"}, "what follows from equal units is not said again"
    assert list(found["equal units"].where) == ["conv1", "aux1", "conv2", "conv3", "fc"]
    assert "have the same weights, zero: " in found["equal units"].seen
    assert found["equal units"].advice[0].startswith("try --initialisation he: ")


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
    assert "of its norm" in found["exploding steps"].seen
    assert "--clip-norm" not in str(found["exploding steps"]), "it is 2 already"


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


def test_a_dead_trunk_is_named_by_its_lowest_block():
    """It comes on block by block: caught far up, it began where the signal is already too weak."""
    healthy = look(Deep())
    fading = {"conv1": 0.5, "aux1": 1e-9, "conv2": 4.4e-3, "conv3": 2e-3, "dropout": 1.5e-3, "fc": 6e-6}
    almost = replace(healthy, signals={**fading, "fc": 1.1e-3})
    news = News(SETTINGS)
    assert [finding.kind for finding in news.of(almost, 2)] == [], "nothing is caught yet"
    (finding,) = news.of(replace(healthy, signals=fading), 25)
    assert list(finding.where) == ["conv2", "conv3", "dropout", "fc"]
    assert finding.seen.startswith("from conv2 on it hardly matters what the image is: 0.44% of its output ")
    assert "image, 0.0006% in fc; 5% or more in runs that learn." in finding.seen
    (lower,) = news.of(replace(healthy, signals={**fading, "conv1": 9e-3}), 45)
    assert str(lower) == "dead trunk at step 45: it has spread to conv1 (0.9%)."
    assert news.of(replace(healthy, signals={**fading, "fc": 9e-3}), 46) == []
    recovered = dict.fromkeys(fading, 0.02)
    (over,) = news.of(replace(healthy, signals=recovered), 90)
    assert over.over
    assert "conv1" in over.where


def test_news_is_said_once_and_taken_back_once():
    news, healthy = News(SETTINGS), look(Deep())
    sick = replace(healthy, dead={"conv1": 0.9, "conv2": 0.2})
    worse, wobbling = replace(sick, dead={"conv1": 0.9, "conv2": 0.85}), replace(sick, dead={"conv1": 0.7})
    looks = (healthy, sick, sick, worse, wobbling, healthy, healthy, sick)
    said = [[str(f) for f in news.of(found, step)] for step, found in enumerate(looks)]
    assert [len(of_look) for of_look in said] == [0, 1, 0, 1, 0, 1, 0, 1]
    assert "conv1 (90%)" in said[1][0]
    assert "try --lr 0.05" in said[1][0]
    assert said[3] == ["dead ReLUs at step 3: it has spread to conv2 (85%)."], "explained once is enough"
    assert said[5] == ["dead ReLUs at step 5: this is over."]
    assert said[7] == ["dead ReLUs at step 7: it has come back in conv1 (90%)."]


def test_every_failure_has_room_between_caught_and_over():
    assert all(failure.caught != failure.over and failure.causes for failure in FAILURES)


def test_messages_fit_a_terminal():
    model = Deep()
    model.conv1.bias.data[...] = -100.0
    for finding in findings(model).values():
        assert max(map(len, str(finding).splitlines())) <= 100


# ---- in a run ----


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)


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
    first = next(i for i, line in enumerate(said) if line.startswith("dead ReLUs at step 2: "))
    assert first < next(i for i, line in enumerate(said) if line.startswith("epoch 1/3"))
    assert sum(line.startswith("dead ReLUs at ") for line in said) == 1, "once is enough"
    summary = next(i for i, line in enumerate(said) if line.startswith("what the watch saw: "))
    assert "dead ReLUs in conv (from step 2 on)" in " ".join(map(str.strip, said[summary:]))
    rate = "  try --lr 0.05: --lr 0.1 is 2 times the default"
    assert [i > summary for i, line in enumerate(said) if line == rate] == [False, True], (
        "said with the first finding, not with those after it, and at the end"
    )
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
        match=r"to start again, try --lr 0\.05: --lr 0\.1 is 2 times .*; before that: .*"
        r"dead ReLUs in conv \(from step 2 on\)",
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
        {"step": 0, "epoch": 1, "kind": "plateau", "where": {"aux1": 2.3, "main": 2.3}, "over": False},
        {"step": 0, "epoch": 1, "kind": "plateau", "where": {"main": 1.0}, "over": True},
    ]
    records = [{**record, "advice": "a lower --lr."} for record in records]  # as earlier versions wrote it
    (run.path / FINDINGS).write_text("".join(json.dumps(record) + "\n" for record in records))
    watch = TrainingWatch(network(), TrainingState(network(), config, 3), splits, run)
    assert watch.so_far() == "plateau in main and 1 more (from step 0 on)"
    assert watch.plateau.stuck == {"aux1"}
    assert watch.summary() == "what the watch saw: plateau in main and 1 more (from step 0 on)"


def test_what_was_said_before_a_stop_is_not_said_again(network, config, splits, start, capsys):
    run = start("run", config)
    splits.train.crash_at = (1, 1)
    with pytest.raises(KeyboardInterrupt):
        train(dead(network), config, splits, run)
    before = capsys.readouterr().out
    splits.train.crash_at = None
    train(dead(network), config, splits, run)
    after, summary = capsys.readouterr().out.split("what the watch saw: ")
    assert "dead ReLUs at step 2: " in before
    assert "try --lr 0.05: " in before
    assert "dead ReLUs at" not in after
    assert "try --lr 0.05: " not in after
    assert "dead ReLUs in conv (from step 2 on)" in " ".join(summary.split())
    assert "try --lr 0.05: " in summary


def test_a_run_that_diverges_again_is_told_once(network, config, splits, start):
    """In the first step after a checkpoint: the finding is of the step that could not be taken."""
    config = replace(config, schedule="step", step_epochs=1, step_factor=1e31)
    run = start("run", config)
    for _ in range(2):
        with pytest.raises(NonFiniteLossError, match="in epoch 2") as caught:
            train(network(), config, splits, run)
        assert "not finite in" not in str(caught.value)
    (record,) = [line for line in lines(run) if line["kind"] == "not finite"]
    assert (record["step"], record["epoch"]) == (int(str(caught.value).split("at step ")[1].split()[0]), 2)
    assert record["advice"][0].startswith("try --lr 0.05: ")


def test_a_resumed_watch_explains_nothing_again_and_sums_up(network, config, splits, start):
    run = start("run", config)
    advice = "try --lr 0.05: --lr 0.1 is 2 times the default"
    first = {
        "step": 0, "epoch": 1, "kind": "dead ReLUs", "where": {"aux1": 1.0}, "seen": "", "advice": [advice],
        "over": False,
    }  # fmt: skip
    (run.path / FINDINGS).write_text(json.dumps(first) + "\n")
    state = TrainingState(network(), config, 3)
    watch = TrainingWatch(network(), state, splits, run)
    assert watch.summary().splitlines() == [
        "what the watch saw: dead ReLUs in aux1 (from step 0 on)",
        f"  {advice}",
    ]
    sick = replace(look(Deep()), dead={"aux1": 1.0, "conv": 0.9})
    assert [finding.seen for finding in watch.news.of(sick, 2)] == ["it has spread to conv (90%)."]
    (run.path / FINDINGS).write_text(json.dumps(first) + "\n" + json.dumps({**first, "over": True}) + "\n")
    watch = TrainingWatch(network(), state, splits, run)
    assert watch.summary() == "what the watch saw: dead ReLUs in aux1 (from step 0 to 0)", (
        "and nothing to try"
    )
