"""`minicnn experiment`: what it prints and writes, its errors, and being stopped."""

import json

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor
from minicnn.cli import main
from minicnn.cli.experiment import heads as heads_cli
from minicnn.cli.experiment import pooling as pooling_cli
from minicnn.cli.experiment import scale as scale_cli
from minicnn.cli.experiment import short_training
from minicnn.cli.experiment.repetition import Defaults
from minicnn.cli.train import resolve_config
from minicnn.parallel import get_num_threads, set_num_threads
from minicnn.training.state import TrainingState

QUICK = ("--width", "0.02", "--epochs", "1", "--limit", "96")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr("minicnn.data.dataset._SHAPES_TRAINING_IMAGES", 128)
    monkeypatch.setattr("minicnn.data.dataset._SHAPES_TEST_IMAGES", 32)
    monkeypatch.setattr(scale_cli, "MEASURED_IMAGES", 40)
    monkeypatch.chdir(tmp_path)
    threads = get_num_threads()
    yield
    set_num_threads(threads)


def printed(capsys, *arguments, status=0, err=""):
    assert main(["experiment", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.err == err
    return captured.out


def fails(capsys, *arguments):
    try:
        status = main(["experiment", *arguments])
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    return captured.err


def test_heads(capsys, tmp_path):
    text = printed(capsys, "heads", *QUICK, "--seeds", "2", "--png", "mine.png")
    assert text.startswith("googlenet-cifar of width 0.02, trained on 77 images of shapes for 1 epoch\n")
    assert "mean over 2 seeds ± standard deviation" in text
    assert "the picture is mine.png, the numbers are in mine.json" in text
    with Image.open(tmp_path / "mine.png") as picture:
        assert picture.format == "PNG"
    runs = json.loads((tmp_path / "mine.json").read_text())["runs"]
    assert [(run["way"], run["seed"]) for run in runs] == [
        (way, seed) for seed in (0, 1) for way in ("with heads", "without heads", "layer rates")
    ]
    for run in runs:
        heads = ["main", "aux1", "aux2"] if run["way"] == "with heads" else ["main"]
        assert list(run["test"]) == heads
        assert [list(epoch) for epoch in run["validation"]] == [heads]
        assert bool(run["rates"]) == (run["way"] == "layer rates")
    rates = runs[2]["rates"]
    assert next(iter(rates)) == "conv1"
    assert list(rates)[-1] == "inception4d", "above the heads nothing changes"
    assert not any(layer.startswith("aux") for layer in rates)
    assert rates["conv1"] != 1.0


def test_pooling(capsys, tmp_path):
    document = json.loads(printed(capsys, "pooling", *QUICK, "--seeds", "1", "--format", "json"))
    average, flattened = document["runs"]
    assert (average["way"], flattened["way"]) == ("average", "flattened")
    assert flattened["classifier_weights"] - 10 == 16 * (average["classifier_weights"] - 10)
    assert average["validation"] != flattened["validation"]
    assert (tmp_path / "pooling.png").exists()


def test_plateau(capsys, tmp_path):
    arguments = ("plateau", "--width", "0.02", "--epochs", "3", "--limit", "96", "--seeds", "1")
    text = printed(capsys, *arguments)
    assert "epoch         rate was divided       divided      constant   divided - constant" in text
    divided, constant = json.loads((tmp_path / "plateau.json").read_text())["runs"]
    assert constant["lr"] == [0.02] * 3
    assert divided["lr"] == pytest.approx([0.02, 0.02, 0.002]), "guessing, it does not improve for long"
    assert [len(run["validation"]) for run in (divided, constant)] == [3, 3]


def test_a_plateau_divides_as_training_does(capsys, tmp_path, monkeypatch):
    """The same run as that of `minicnn train` with the flags that docs/claims.md names."""
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)
    flags = ("--width", "0.02", "--epochs", "4", "--limit", "96", "--seed", "3")
    printed(capsys, "plateau", *flags, "--seeds", "1")
    divided, constant = json.loads((tmp_path / "plateau.json").read_text())["runs"]
    assert min(divided["lr"]) < 0.001, "divided twice"
    settings = ("--batch-size", "32", "--lr", "0.02")
    for run, schedule in ((divided, ("plateau", "--patience", "1")), (constant, ("constant",))):
        assert main(["train", *flags, *settings, "--out", schedule[0], "--schedule", *schedule]) == 0
        rows = [
            json.loads(line) for line in (tmp_path / schedule[0] / "metrics.jsonl").read_text().splitlines()
        ]
        assert [epoch["main"] for epoch in run["validation"]] == [row["val_accuracy"] for row in rows]
        assert run["lr"] == [row["lr"] for row in rows]
        result = json.loads((tmp_path / schedule[0] / "result.json").read_text())
        assert run["test"]["main"] == result["test_accuracy"]


def test_a_flattened_network_starts_as_the_other():
    config = resolve_config({"width": 0.02})
    plain, flattened = (short_training.starting_network(config, 10) for _ in range(2))
    pooling_cli._flatten(flattened, config)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32))
    assert flattened(x).logits.shape == (2, 10)
    one, other = plain.state_dict(), flattened.state_dict()
    assert list(one) == list(other)
    assert [name for name in one if not np.array_equal(one[name], other[name])] == ["fc.weight"]
    assert other["fc.weight"].shape[0] == 16 * one["fc.weight"].shape[0]
    assert other["fc.weight"].std() == pytest.approx(0.01, rel=0.1), "small, as every classifier"


def test_scale(capsys, tmp_path):
    document = json.loads(printed(capsys, "scale", *QUICK, "--seeds", "2", "--format", "json"))
    assert document == json.loads((tmp_path / "scale.json").read_text())
    assert document["seeds"] == [0, 1]
    assert list(document["methods"]) == ["silenced", "gradient"]
    of_module = document["methods"]["silenced"]["inception3a"]
    assert np.shape(of_module["trained"]["shares"]) == (2, 5, 4)
    assert of_module["trained"]["slope"]["values"] != of_module["untrained"]["slope"]["values"]
    with Image.open(tmp_path / "scale.png") as picture:
        assert picture.format == "PNG"


def test_results_do_not_depend_on_threads(capsys):
    first, second = (
        json.loads(
            printed(
                capsys, "heads", *QUICK, "--seeds", "1", "--format", "json", "--threads", threads, "--force"
            )
        )
        for threads in ("1", "2")
    )
    assert first == second


def test_networks_with_heads_and_without_start_alike():
    config = resolve_config({"width": 0.02, "aux": True})
    with_heads = short_training.starting_network(config, 10).state_dict()
    without = short_training.starting_network(resolve_config({"width": 0.02, "aux": False}), 10).state_dict()
    assert not any(name.startswith("aux") for name in without)
    assert all(np.array_equal(with_heads[name], array) for name, array in without.items())


def test_rates_of_single_layers():
    config = resolve_config({"width": 0.02, "lr": 0.1, "bias_lr_factor": 3.0})
    network = short_training.starting_network(config, 10)
    groups = TrainingState(network, config, 5, {"conv1": 2.0}).optimizer.groups
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    rates = {names[id(parameter)]: group.lr for group in groups for parameter in group.params}
    assert len(rates) == len(names)
    assert rates["conv1.weight"] == pytest.approx(0.2)
    assert rates["conv1.bias"] == pytest.approx(0.6)
    assert rates["conv2.weight"] == pytest.approx(0.1)
    assert rates["inception3a.conv1x1.bias"] == pytest.approx(0.3)


def test_stopped_after_a_seed(capsys, tmp_path, monkeypatch):
    run = heads_cli._train

    def interrupted(way, config, *others):
        if config.seed == 1:
            raise KeyboardInterrupt
        return run(way, config, *others)

    monkeypatch.setattr(heads_cli, "_train", interrupted)
    message = "minicnn: heads: stopped; this is what the finished seeds gave\n"
    text = printed(capsys, "heads", *QUICK, "--seeds", "3", status=130, err=message)
    assert "Accuracy in %, one seed" in text
    assert len(json.loads((tmp_path / "heads.json").read_text())["runs"]) == 3

    message = "minicnn: heads: stopped; no seed was finished\n"
    assert printed(capsys, "heads", *QUICK, "--seed", "1", "--png", "1.png", status=130, err=message) == ""


def test_a_training_that_diverges(capsys, monkeypatch):
    config = Defaults.config
    monkeypatch.setattr(Defaults, "config", lambda *arguments: _hot(config(*arguments)))
    message = fails(capsys, "scale", *QUICK)
    assert message.startswith("minicnn: error: seed 0: the loss became ")
    assert "this training has diverged, and nothing can be said" in message


def _hot(config):
    return resolve_config({**config.to_json(), "lr": 1e30, "clip_norm": 0.0})


def test_errors(capsys, tmp_path):
    assert "required: NAME" in fails(capsys)
    assert "invalid choice: 'alchemy'" in fails(capsys, "alchemy")
    assert "expected a whole number of at least 1, got 0" in fails(capsys, "heads", "--seeds", "0")
    assert "ends in .png, got heads.json" in fails(capsys, "heads", "--png", "heads.json")
    assert "there is no folder" in fails(capsys, "scale", "--png", "no/scale.png")
    (tmp_path / "taken.json").mkdir()
    assert "got the folder taken.json" in fails(capsys, "scale", "--png", "taken.png")
    assert "unrecognized arguments: --data" in fails(capsys, "scale", "--data", "cifar10")
    assert "invalid choice: 'relu'" in fails(capsys, "injection", "--activation", "relu")
    assert "--png: expected a file to write, got an empty name" in fails(capsys, "scale", "--png", "")


def test_too_few_images(capsys, tmp_path):
    """The error names what was typed, and what would do."""
    needed = (
        "--limit: expected at least {} training images, {} for a batch and {} to hold back for validation"
    )
    for name, enough, batch in (("heads", 40, 32), ("scale", 36, 32), ("injection", 18, 16)):
        for limit in (1, batch, enough - 1):
            message = needed.format(enough, batch, enough - batch)
            assert f"{message}, got {limit}\n" in fails(capsys, name, *QUICK[:4], "--limit", str(limit))
    title = "trained on 32 images of shapes"
    assert title in printed(capsys, "pooling", *QUICK[:4], "--limit", "40", "--seeds", "1")

    for images, got in ((1, "fewer"), (4, "6")):  # of each class, one is for testing
        for name in "ab":
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            for number in range(images):
                Image.new("RGB", (32, 32)).save(tmp_path / "photos" / name / f"{number}.png")
        message = fails(capsys, "heads", "--data", "folder", "--data-dir", "photos")
        assert message.startswith("minicnn: error: --data-dir: expected at least 40 training images, 32 for")
        assert message.endswith(f"got {got}\n")


@pytest.mark.parametrize("taken", ["heads.png", "heads.json"])
def test_nothing_is_replaced_unasked(capsys, tmp_path, taken):
    (tmp_path / taken).write_text("mine")
    message = (
        f"{taken} is there already, of an earlier experiment perhaps: --png FILE.png takes another name, "
    )
    assert message in fails(capsys, "heads", *QUICK)
    assert (tmp_path / taken).read_text() == "mine"
    printed(capsys, "heads", *QUICK, "--seeds", "1", "--force")
    assert (tmp_path / taken).read_bytes() != b"mine"


def test_networks_that_guess(capsys):
    text = printed(capsys, "pooling", *QUICK, "--seeds", "1")
    assert (
        "\nNot learnt: 2 of 2 networks guess (about 10% right), so this says nothing; raise --epochs" in text
    )
