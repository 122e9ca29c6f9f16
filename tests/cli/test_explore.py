"""`minicnn explore`: what it writes, and its one line for everything that is wrong."""

import json
import re
import shutil
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


def test_a_network_of_the_users(tmp_path, monkeypatch, capsys):
    """Its classes have numbers, unless there are as many as the embedded images have."""
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(NETWORKS, encoding="utf-8")
    assert main(["explore", "own.py:seven", "--module", "block", "--label", "6"]) == 0
    page = shown(tmp_path / "explore.html")
    assert page["title"] == "Backprop through own.py:seven"
    assert page["subtitle"].startswith("embedded image 0; the loss asks for '6', the network says '")
    assert page["ops"][page["steps"][-1]]["path"] == "stem"
    assert main(["explore", "own:shapes", "--index", "3"]) == 0
    label = data.load_shapes(500, seed=0)[1][3]
    assert (
        f"the loss asks for '{data.SHAPE_CLASS_NAMES[label]}'" in shown(tmp_path / "explore.html")["subtitle"]
    )
    capsys.readouterr()
    assert "expected one of 0, 1, 2, 3, 4, 5, 6, got 'star'" in fails(
        capsys, "own.py:seven", "--label", "star"
    )
    assert "decides how wide" in fails(capsys, "own.py:seven", "--width", "0.5")
    assert "only a trained network has a data set" in fails(capsys, "own.py:seven", "--data-dir", "x")
    assert "for square images of 3 colours, got one for 32x32x1" in fails(capsys, "own.py:grey")
    assert "or a GoogLeNetOutput, got a Tensor of shape (1, 32, 32, 4)" in fails(capsys, "own.py:stages")
    assert "running it failed: TypeError" in fails(capsys, "own.py:broken")
    assert fails(capsys, "own.py:misfit").startswith("linear: ")
    assert "there is no nothing in it" in fails(capsys, "own.py:nothing")


def test_an_error_of_a_network_of_ours_is_no_bad_input(monkeypatch, tmp_path):
    monkeypatch.setattr("minicnn.models.GoogLeNet.forward", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["explore", *SMALL, "--out", str(tmp_path / "page.html")])
