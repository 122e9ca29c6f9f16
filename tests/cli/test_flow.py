"""`minicnn flow` and `minicnn train --watch-gradients`: what they print and write, and their errors."""

import csv
import io
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from failing_command import fails
from minicnn import data, models, nn, study
from minicnn.cli import main
from minicnn.cli.experiment import injection as injection_cli
from minicnn.cli.networks import load_network
from minicnn.random import Stream, counter_generator
from minicnn.training.checkpoint import DataFacts
from minicnn.training.config import Config
from minicnn.training.run_folder import RunFolder
from users_networks import NETWORKS


@pytest.fixture(autouse=True)
def few_shapes(monkeypatch):
    monkeypatch.setattr("minicnn.data.dataset._SHAPES_TRAINING_IMAGES", 128)
    monkeypatch.setattr("minicnn.data.dataset._SHAPES_TEST_IMAGES", 32)
    monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)


QUICK = ["--width", "0.02", "--batch-size", "16"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the smallest GoogLeNet, watched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicnn.data.dataset._SHAPES_TRAINING_IMAGES", 128)
        patch.setattr("minicnn.data.dataset._SHAPES_TEST_IMAGES", 32)
        patch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)
        folder = tmp_path_factory.mktemp("runs") / "run"
        status = main(["train", *QUICK, "--epochs", "1", "--watch-gradients=3", "--out", str(folder)])
        assert status == 0
    return folder


def printed(capsys, *arguments):
    assert main(["flow", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_a_network_at_initialisation(capsys):
    """The command's numbers are those of the Python calls, on images prepared by hand."""
    found = json.loads(
        printed(capsys, "--width", "0.05", "--index", "5", "--batch-size", "4", "--format", "json")
    )
    images, labels = data.load_shapes(128)
    train_images, _, _, _ = data.split_validation(images, labels, Config.val_fraction, 0)
    test_images, test_labels = data.load_shapes(32, split="test")
    x = data.Normalisation.from_images(train_images).apply(test_images[5:9])
    model = models.googlenet_cifar(width=0.05, rng=counter_generator(0, Stream.INITIALISATION))
    dropouts = [module for _, module in model.named_modules() if isinstance(module, nn.Dropout)]
    for place, dropout in enumerate(dropouts):
        dropout.rng = counter_generator(0, Stream.DROPOUT, 0, 0, place)
    assert found == json.loads(json.dumps(study.gradient_flow(model, x, test_labels[5:9]).to_json()))


def test_what_is_printed(capsys):
    text = printed(capsys, *QUICK)
    lines = text.splitlines()
    assert lines[0] == "googlenet-cifar (width 0.02) on shapes, relu, at initialisation"
    assert lines[1] == "GoogLeNet, 16 images, weight of the auxiliary heads 0.3"
    assert max(map(len, lines)) <= 113
    assert any(line.startswith("inception5b") for line in lines)
    only = printed(capsys, *QUICK, "--layers", "aux?.fc1").splitlines()
    assert [line.split()[0] for line in only[5:-1]] == ["aux1.fc1", "aux2.fc1"]
    assert only[-1] == "share: the norm of a head's part, over the sum of the norms of all parts"
    table = list(csv.DictReader(io.StringIO(printed(capsys, *QUICK, "--format", "csv"))))
    assert table[0]["layer"] == "conv1"
    assert printed(capsys, *QUICK, "--format", "markdown").startswith("| layer | parameters | norm |")


def test_the_seed_decides(capsys):
    same, again, other = (
        printed(capsys, *QUICK, "--format", "csv", "--seed", seed) for seed in ("0", "0", "1")
    )
    assert same == again
    assert same != other


def test_a_run(run, capsys, tmp_path):
    png = tmp_path / "flow.png"
    text = printed(capsys, str(run), "--png", str(png), "--batch-size", "8")
    assert text.startswith("googlenet-cifar (width 0.02) on shapes, after epoch 1 of training\n")
    assert is_png(png)
    network, checkpoint, file = load_network(str(run))
    of_file = printed(capsys, str(file), "--index", "0", "--batch-size", "8", "--format", "json")
    weights = network.conv1.weight.data.astype(np.float64), network.conv1.bias.data.astype(np.float64)
    expected = np.sqrt(sum((w**2).sum() for w in weights))
    assert json.loads(of_file)["layers"][0]["weight_norm"] == pytest.approx(expected)


def test_errors(run, capsys, tmp_path):
    assert "no such checkpoint or run, and no such model (googlenet-cifar or" in fails(
        capsys, "flow", "nowhere"
    )
    assert fails(capsys, "flow", str(run), "--width", "0.5").startswith("--width: ")
    assert fails(capsys, "flow", str(run), "--activation", "tanh").startswith("--activation: ")
    assert "--width: only googlenet-cifar" in fails(capsys, "flow", "googlenet", "--width", "0.5")
    assert "expected a number from 0 to" in fails(capsys, "flow", *QUICK, "--index", "5000")
    assert "expected a number from 0 to" in fails(capsys, "flow", *QUICK, "--index", "-1")
    assert "got 'nothing'; there are conv1" in fails(capsys, "flow", *QUICK, "--layers", "nothing")
    assert "there is no folder" in fails(capsys, "flow", "--png", str(tmp_path / "no" / "flow.png"))
    assert "ends in .png, got flow.xyz" in fails(capsys, "flow", "--png", "flow.xyz")
    assert "got the folder" in fails(capsys, "flow", "--png", str(tmp_path))
    assert "ends in .png" in fails(capsys, "flow", "--experiment", "injection", "--png", "inj.json")
    (tmp_path / "inj.json").mkdir()
    taken = fails(capsys, "flow", "--experiment", "injection", "--png", str(tmp_path / "inj.png"))
    assert "got the folder" in taken
    assert fails(capsys, "flow", "--epochs", "2") == "--epochs belongs to --experiment"
    assert "invalid choice" in fails(capsys, "flow", "--experiment", "alchemy")
    experiment = ("flow", "--experiment", "injection")
    assert "takes no nowhere" in fails(capsys, "flow", "nowhere", *experiment[1:])
    assert "does not go together" in fails(capsys, *experiment, "--batch-size", "3")
    assert "got relu" in fails(capsys, *experiment, "--activation", "relu")
    assert fails(capsys, "flow", "--force") == "--force belongs to --experiment"
    (tmp_path / "there.png").write_text("mine")
    assert "is there already" in fails(capsys, *experiment, "--png", str(tmp_path / "there.png"))
    assert "got csv" in fails(capsys, *experiment, "--format", "csv")


def test_a_run_on_data_of_other_classes(run, capsys, tmp_path):
    for name in ("red", "blue"):
        (tmp_path / name).mkdir()
        for number in range(8):
            Image.new("RGB", (32, 32), name).save(tmp_path / name / f"{number}.png")
    message = fails(capsys, "flow", str(run), "--data", "folder", "--data-dir", str(tmp_path))
    assert message == "--data: expected images of the 10 classes the network knows, got 2"


def test_a_run_on_as_many_other_classes(run, capsys, tmp_path):
    for number in range(10):
        (tmp_path / f"class{number}").mkdir()
        for image in range(5):
            Image.new("RGB", (32, 32), "red").save(tmp_path / f"class{number}" / f"{image}.png")
    message = fails(capsys, "flow", str(run), "--data", "folder", "--data-dir", str(tmp_path))
    assert message.startswith("--data: expected images of the classes the network knows, got those of folder")
    assert message.endswith(f"class 0 is '{data.SHAPE_CLASS_NAMES[0]}' for the network and 'class0' there")


def test_a_run_with_the_name_of_a_model(run, capsys, tmp_path, monkeypatch):
    shutil.copytree(run, tmp_path / "googlenet-cifar")
    monkeypatch.chdir(tmp_path)
    assert "after epoch 1 of training" in printed(capsys, "googlenet-cifar", "--batch-size", "8")


def test_the_experiment(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(injection_cli, "DEFAULTS", injection_cli.DEFAULTS._replace(images=48))
    text = printed(
        capsys, "--experiment", "injection", "--width", "0.02", "--epochs", "1", "--seeds", "2",
        "--activation", "tanh", "--png", "heads.png",
    )  # fmt: skip
    assert text.startswith(
        "googlenet-cifar of width 0.02, trained on 43 images of shapes for 1 epoch; gradients on 43"
    )
    assert "the picture is heads.png, the numbers are in heads.json" in text
    assert is_png(tmp_path / "heads.png")
    cases = json.loads((tmp_path / "heads.json").read_text())["cases"]
    assert [(c["activation"], c["heads"], c["trained"]) for c in cases] == [
        (activation, heads, trained)
        for activation in ("relu", "tanh")
        for heads in (True, False)
        for trained in (False, True)
    ]
    assert [case["seeds"] for case in cases] == [[0, 1]] * 8
    for start, trained in zip(cases[::2], cases[1::2], strict=True):
        assert (
            start["flows"][0]["layers"][0]["weight_norm"] != trained["flows"][0]["layers"][0]["weight_norm"]
        )
        assert (start["shares"]["conv1"]["aux1"] > 0) == start["heads"]
    for with_heads, without in zip(cases[::4], cases[2::4], strict=True):
        first, second = (case["flows"][1]["layers"] for case in (with_heads, without))
        trunk = [row for row in first if not row["layer"].startswith("aux")]
        assert [row["weight_norm"] for row in trunk] == [row["weight_norm"] for row in second]


def test_a_watched_run(run, capsys, tmp_path):
    records = [json.loads(line) for line in (run / "gradients.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [0, 3, 6]
    layers = records[0]["layers"]
    assert list(layers)[:3] == ["conv1", "conv2_reduce", "conv2"]
    assert list(layers["conv1"]) == ["norm", "main", "aux1", "aux2", "gradient_to_weight"]
    assert layers["inception4b.conv1x1"]["aux1"] == 0.0 < layers["inception4b.conv1x1"]["aux2"]
    assert is_png(run / "gradients.png")

    plain = tmp_path / "plain"
    assert main(["train", *QUICK, "--epochs", "1", "--out", str(plain)]) == 0
    assert not (plain / "gradients.jsonl").exists()
    watched, unwatched = (load_network(str(folder))[0].state_dict() for folder in (run, plain))
    assert all(watched[name].tobytes() == unwatched[name].tobytes() for name in watched)


def test_watching_a_resumed_run(run, capsys, tmp_path):
    config, facts = RunFolder.open(run).read_config()
    stopped = RunFolder.create(tmp_path / "stopped", Config(**asdict(config)), facts)
    assert isinstance(facts, DataFacts)
    assert main(["train", "--resume", str(stopped.path), "--watch-gradients", "3"]) == 0
    assert (stopped.path / "gradients.jsonl").read_text() == (run / "gradients.jsonl").read_text()
    assert "gradients.jsonl, gradients.png" in capsys.readouterr().out


def continued(run, tmp_path, text):
    """Resume a copy of a watched run that was killed before its first checkpoint; return its recordings."""
    config, facts = RunFolder.open(run).read_config()
    stopped = RunFolder.create(tmp_path / "stopped", config, facts)
    (stopped.path / "gradients.jsonl").write_text(text)
    assert main(["train", "--resume", str(stopped.path)]) == 0
    return (stopped.path / "gradients.jsonl").read_text()


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_watched_run_is_resumed_without_the_flag(run, capsys, tmp_path, lines):
    whole = (run / "gradients.jsonl").read_text()
    left = "".join(line + "\n" for line in whole.splitlines()[:lines]) + '{"step": 99, "lay'
    assert continued(run, tmp_path, left) == whole
    out = capsys.readouterr().out
    assert "add --watch-gradients" not in out
    assert "gradients.jsonl, gradients.png" in out


def test_the_interval_of_recordings_that_do_not_say_it(run, capsys, tmp_path):
    whole = (run / "gradients.jsonl").read_text()
    old = [line.replace('"every": 3, ', "") for line in whole.splitlines(keepends=True)]
    assert continued(run, tmp_path, "".join(old[:2])) == whole


@pytest.mark.parametrize("left", ["", '{"step": 0, "epo', '{"step": 0, "epoch": 1, "layers": {}}\n'])
def test_an_interval_that_cannot_be_told(run, capsys, tmp_path, left):
    assert continued(run, tmp_path, left) == ""
    assert "this run was watched; add --watch-gradients to go on\n" in capsys.readouterr().out


def test_watching_needs_the_cpu(capsys):
    message = fails(capsys, "train", "--watch-gradients", "--device", "cuda")
    assert message.startswith(
        "--watch-gradients runs the network op by op, on the CPU; it does not go together"
    )
    assert "--watch-gradients" in fails(capsys, "train", "--overfit-one-batch", "--watch-gradients")
    assert "at least 1, got 0" in fails(capsys, "train", "--watch-gradients=0")


def test_a_network_of_the_users(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("own.py").write_text(NETWORKS, encoding="utf-8")
    lines = printed(capsys, "own.py:shapes", "--batch-size", "8", "--png", "own.png").splitlines()
    assert lines[0] == "own.py:shapes on shapes, as it is made"
    assert lines[1] == "Net, 8 images; all of the gradient comes from the main head"
    assert [line.split()[0] for line in lines[5:7]] == ["stem", "block"]
    assert is_png(tmp_path / "own.png")
    assert "expected 10 classes of each of its heads, got 7 of main" in fails(capsys, "flow", "own.py:seven")
    assert fails(capsys, "flow", "own:shapes", "--width", "0.5").startswith("--width: own:shapes has its own")
    assert "got one for 32x32x1" in fails(capsys, "flow", "own.py:grey")
    assert "running it failed: TypeError" in fails(capsys, "flow", "own.py:broken")
    assert "got a Tensor of shape (1, 32, 32, 4)" in fails(capsys, "flow", "own.py:stages")
    assert "got 3 of aux2" in fails(capsys, "flow", "own.py:heads")
