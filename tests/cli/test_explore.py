"""`minicnn explore`: what it writes, and its one line for everything that is wrong."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.cli import main
from users_networks import NETWORKS

SMALL = ["--width", "0.02"]


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("images") / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3)).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of two steps on two classes of six images."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (root / name).mkdir()
        for number in range(10):
            Image.fromarray(rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)
        flags = ["--data", "folder", "--data-dir", str(root), "--batch-size", "6", "--epochs", "1"]
        assert main(["train", *flags, "--val-fraction", "0.25", "--out", str(out), *SMALL]) == 0
    return out


def shown(file: Path) -> dict:
    text = file.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="recording">(.*?)</script>', text, re.DOTALL)[1])


def fails(capsys, *arguments: str) -> str:
    try:
        status = main(["explore", *arguments])
    except SystemExit as stop:  # argparse
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line.removeprefix("minicnn: error: ")


def test_untrained(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["explore", *SMALL]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "wrote explore.html" in out
    page = shown(tmp_path / "explore.html")
    assert page["title"] == "Backprop through googlenet-cifar, untrained"
    assert page["subtitle"].startswith("embedded image 0; the loss asks for")
    assert [head["name"] for head in page["heads"]] == ["main", "aux1", "aux2"]
    assert page["ops"][page["steps"][-1]]["path"] == "conv1"
    (image,) = [t for t in page["tensors"] if t["creator"] is None and not t["parameter"]]
    assert image["gradient"]["norm"] > 0  # the walk goes on to the pixels


def test_pages_are_the_same_every_time(tmp_path):
    for name in ("a.html", "b.html"):
        assert main(["explore", *SMALL, "--index", "3", "--threads", "1", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_trained(tmp_path, run, photo, capsys):
    out = tmp_path / "page.html"
    assert main(["explore", str(run), "--index", "1", "--module", "4a", "--out", str(out)]) == 0
    page = shown(out)
    assert page["title"] == "Backprop through googlenet-cifar, trained for 1 epoch"
    assert page["subtitle"].startswith("test image 1 of folder; the loss asks for")
    assert page["module"] == "inception4a"
    assert main(["explore", str(run), "--image", str(photo), "--label", "dogs", "--out", str(out)]) == 0
    assert shown(out)["subtitle"].startswith("photo.png; the loss asks for 'dogs'")


def test_a_run_with_the_name_of_a_model(tmp_path, run, monkeypatch):
    shutil.copytree(run, tmp_path / "googlenet-cifar")
    monkeypatch.chdir(tmp_path)
    assert main(["explore", "googlenet-cifar"]) == 0
    assert shown(tmp_path / "explore.html")["title"].endswith("trained for 1 epoch")


def test_bad_input(tmp_path, run, photo, capsys):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    run = str(run)
    assert "no such file" in fails(capsys, str(tmp_path / "nowhere"))
    assert "neither a checkpoint nor the folder of a run" in fails(capsys, str(tmp_path))
    assert "there is no such file" in fails(capsys, *SMALL, "--image", str(tmp_path / "missing.png"))
    assert "expected an image, cannot read it" in fails(capsys, *SMALL, "--image", str(text))
    assert "--module: expected one of conv1, " in fails(capsys, *SMALL, "--module", "inception9z")
    assert "--index: there are 500 embedded images" in fails(capsys, *SMALL, "--index", "500")
    assert "--index: there are 4 test images of folder" in fails(capsys, run, "--index", "4")
    assert "--label: expected one of cats, dogs, got 'cow'" in fails(capsys, run, "--label", "cow")
    assert "--width: a trained network" in fails(capsys, run, "--width", "2")
    assert "--width: only googlenet-cifar" in fails(capsys, "googlenet", "--width", "2")
    assert "--data-dir: only a trained network" in fails(capsys, *SMALL, "--data-dir", str(tmp_path))
    both = fails(capsys, run, "--image", str(photo), "--data-dir", str(tmp_path))
    assert both == "--data-dir: with --image no data set is read"
    assert "not allowed with" in fails(capsys, *SMALL, "--index", "1", "--image", str(photo))
    assert "got the folder" in fails(capsys, *SMALL, "--out", str(tmp_path))
    assert "there is no folder" in fails(capsys, *SMALL, "--out", str(tmp_path / "no" / "page.html"))


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The current folder, in which a user has written own.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own.py").write_text(NETWORKS, encoding="utf-8")
    (tmp_path / "beside_own.py").write_text("FACTOR = 1", encoding="utf-8")
    (tmp_path / "exits.py").write_text("import sys; sys.exit(4)", encoding="utf-8")
    yield tmp_path
    for name in ("own", "beside_own", "exits"):
        sys.modules.pop(name, None)


def test_a_network_of_the_users(own):
    """Its classes have numbers, unless there are as many as the embedded images have."""
    assert main(["explore", "own.py:seven", "--module", "block", "--label", "6"]) == 0
    page = shown(own / "explore.html")
    assert page["title"] == "Backprop through own.py:seven"
    assert page["subtitle"].startswith("embedded image 0; the loss asks for '6', the network says '")
    assert page["ops"][page["steps"][-1]]["path"] == "stem"
    assert main(["explore", "own:shapes", "--index", "3"]) == 0
    label = data.load_shapes(500, seed=0)[1][3]
    name = data.SHAPE_CLASS_NAMES[label]
    assert f"the loss asks for '{name}'" in shown(own / "explore.html")["subtitle"]


@pytest.mark.parametrize(("source", "size"), [("beside", 32), ("trains_itself", 32), ("Sized", 24)])
def test_what_a_users_network_may_do(own, source, size):
    """Import later on, have a `train` of its own, say which images it takes."""
    assert main(["explore", f"own.py:{source}"]) == 0
    tensors = shown(own / "explore.html")["tensors"]
    (image,) = (t for t in tensors if t["creator"] is None and not t["parameter"])
    assert image["shape"] == [1, size, size, 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("own.py", "own.py: expected the name of what makes the network, too: own.py:NAME"),
        ("own.py:", "own.py:: expected the name of what makes the network, too: own.py:NAME"),
        ("own.py:nothing", "own.py: there is no nothing in it"),
        ("exits.py:net", "exits.py: importing it failed: SystemExit: 4"),
        ("own.py:stops", "own.py:stops: calling it failed: SystemExit: 4"),
        ("own.py:stops_later", "own.py:stops_later: running it failed: SystemExit: 4"),
        ("own.py:broken", "own.py:broken: running it failed: TypeError: "),
        ("own.py:misfit", "own.py:misfit: running it failed: linear: x: expected shape"),
        ("own.py:stages", "own.py:stages: expected it to return logits (N, classes) or a GoogLeNetOutput, "),
        ("own.py:no_logits", "got a GoogLeNetOutput of None, None, None"),
        ("own.py:lists", "got a GoogLeNetOutput of a list, None, None"),
        ("own.py:no_classes", "got a Tensor of shape (1, 0)"),
        ("own.py:heads", "expected 10 classes of each of its heads, got 3 of aux2"),
        ("own.py:nan", "own.py:nan: its logits are not finite, so no gradient is"),
        (
            "own.py:grey",
            "own.py:grey: expected a network for square images of 3 colours, got one for 32x32x1",
        ),
        ("own.py:OddlySized", "OddlySized.input_size: expected whole numbers, got (0, 0, 3)"),
        ("own.py:Property", "Property: looking up its input_size failed: Failing"),
        ("own.py:seven --label star", "--label: expected one of 0, 1, 2, 3, 4, 5, 6, got 'star'"),
        ("own.py:seven --module head", "--module: expected one of stem, block, fc; got 'head'"),
        ("own.py:seven --width 0.5", "--width: it is own.py:seven that decides how wide its network is"),
        ("own.py:seven --data-dir x", "--data-dir: only a trained network has a data set"),
        ("nowhere", "(googlenet-cifar or googlenet, or file.py:NAME for one of your own)"),
    ],
)
def test_what_is_wrong_with_a_users_network(own, capsys, arguments, words):
    assert words in fails(capsys, *arguments.split())


def test_an_error_of_a_network_of_ours_is_no_bad_input(monkeypatch, tmp_path):
    monkeypatch.setattr("minicnn.models.GoogLeNet.forward", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["explore", *SMALL, "--out", str(tmp_path / "page.html")])
