"""`minicnn train`: what it does, prints and writes."""

import hashlib
import io
import json
import os
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from safetensors.numpy import load_file

from failing_command import fails
from minicnn.cli import main
from minicnn.cli.networks import build_network, load_network
from minicnn.cli.train import program, resolve_config
from minicnn.parallel import get_num_threads
from minicnn.training.newest_checkpoint import CHECKPOINT
from tiny_run import COLOURS, QUICK, same_arrays

pytestmark = pytest.mark.usefixtures("no_curves")


def test_train(quick, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([*quick, "--epochs", "2", "--seed", "7", "--out", str(run)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "36 training, 12 validation and 12 test images" in out
    assert "epoch 1/2  train loss " in out
    assert "epoch 2/2  train loss " in out
    result = json.loads((run / "result.json").read_text())
    assert f"test accuracy {result['test_accuracy']:.2%}" in out
    assert f"results are in {run}" in out
    assert f"minicnn predict {run} IMAGE" in out
    assert f"minicnn eval {run}" in out
    config = json.loads((run / "config.json").read_text())
    assert (config["epochs"], config["seed"], config["width"]) == (2, 7, 0.02)
    assert (config["model"], config["data"]) == ("googlenet-cifar", "folder")
    assert config["class_names"] == list(COLOURS)
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [2, 4]
    assert load_file(run / CHECKPOINT)["model.aux1.fc2.weight"].shape[1] == 3


def test_runs_get_folders_of_their_own(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert main([*quick, "--epochs", "1"]) == 0
        assert f"results are in runs/googlenet-cifar-folder-{number}:" in capsys.readouterr().out


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_number_of_threads_changes_nothing(quick, finished, tmp_path, threads):
    run = tmp_path / "run"
    assert main([*quick, "--epochs", "2", "--out", str(run), "--threads", threads]) == 0
    assert get_num_threads() == int(threads)
    assert same_arrays(run, finished)


def test_batches_of_a_recipe_are_cut_down_but_not_those_asked_for(quick, photos, tmp_path, capsys):
    folder = [
        "train",
        "--data",
        "folder",
        "--data-dir",
        str(photos),
        "--width",
        "0.02",
        "--val-fraction",
        "0.5",
    ]
    assert main([*folder, "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    assert "batches of 32 are cut down to the 24 training images" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "config.json").read_text())["batch_size"] == 24
    line = fails(capsys, *folder, "--batch-size", "32")
    assert line == "--batch-size: expected at most the 24 training images, got 32"


def test_fewer_images_than_the_fraction_has_parts(quick, tmp_path, capsys):
    few = ["--limit", "9", "--val-fraction", "0.1", "--batch-size", "4", "--epochs", "1"]
    assert main([*quick, *few, "--out", str(tmp_path / "run")]) == 0
    assert "8 training, 1 validation and 12 test images" in capsys.readouterr().out


def test_nothing_left_to_train_on(quick, capsys):
    words = "--val-fraction: 0.9 of 3 images would leave none to train on"
    assert fails(capsys, *quick, "--limit", "3", "--val-fraction", "0.9").startswith(words)
    words = "--val-fraction: expected at least 2 images"
    assert fails(capsys, *quick, "--limit", "1").startswith(words)


def test_overfit_one_batch(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*quick, "--width", "0.1", "--overfit-one-batch", "--batch-size", "6", "--lr", "0.005"]) == 0
    out = capsys.readouterr().out
    assert "learn 6 images by heart, at a learning rate of 0.005?" in out
    assert "Yes: it learned 6 images by heart" in out
    assert list(tmp_path.iterdir()) == []


def test_profile(quick, finished, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([*quick, "--epochs", "2", "--profile", "--out", str(run)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "profile of step 2:\nop " in out
    assert out.index(f"the same by layer is in {run / 'profile.txt'}") < out.index("epoch 1/2")
    by_op, by_module, by_layer = (run / "profile.txt").read_text().split("\n\n")
    assert f"profile of step 2:\n{by_op}\n" in out
    assert "aux1  " in by_module
    assert "aux1.fc1 " not in by_module
    assert "aux1.fc1 " in by_layer
    assert json.loads((run / "profile.json").read_text())["traceEvents"]
    assert same_arrays(run, finished)


def test_profile_of_a_resumed_run(finished, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_bytes((finished / "config.json").read_bytes())
    assert main(["train", "--resume", str(run), "--profile"]) == 0
    assert "profile of step 2:" in capsys.readouterr().out
    assert same_arrays(run, finished)


def test_profile_does_not_go_together_with_overfitting(quick, capsys):
    line = fails(capsys, *quick, "--overfit-one-batch", "--profile")
    assert line == "--overfit-one-batch writes nothing and does not go together with --profile"


def test_the_watch_recognises_a_start_at_zero(quick, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([*quick, "--epochs", "2", "--initialisation", "zero", "--out", str(run)]) == 0
    said = capsys.readouterr().out.splitlines()
    (line,) = [line for line in said if line.startswith("equal units at step 2: ")]
    assert "all units of conv1, " in line
    assert sum(line.startswith("  try --initialisation he: ") for line in said) == 2, "and in the summary"
    assert any(line.startswith("what the watch saw: equal units in conv1 and ") for line in said)
    kinds = {json.loads(line)["kind"] for line in (run / "findings.jsonl").read_text().splitlines()}
    assert {"equal units", "dead trunk"} <= kinds


def test_a_network_is_looked_at_with_the_activation_of_its_run(quick, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([*quick, "--epochs", "1", "--activation", "tanh", "--out", str(run)]) == 0
    assert json.loads((run / "config.json").read_text())["activation"] == "tanh"
    assert load_network(str(run))[0].conv1.activation == "tanh"
    result = json.loads((run / "result.json").read_text())
    capsys.readouterr()
    assert main(["eval", str(run)]) == 0
    assert f"{result['test_loss']:.4f}" in capsys.readouterr().out


def test_divergence(quick, tmp_path, capsys):
    line = fails(capsys, *quick, "--lr", "1e20", "--out", str(tmp_path / "run"))
    assert "training has diverged; no epoch was completed" in line
    assert "to start again, try --lr 0.03: --lr 1e+20 is 3.3e+21 times the default" in line


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"width": 0.1},
        {"initialisation": "glorot"},
        {"aux": False},
        {"num_classes": 4},
        {"activation": "tanh"},
    ],
)
def test_networks_are_made_as_asked_for(changed):
    def describe(num_classes: int = 10, **settings) -> tuple[str, dict[str, bytes]]:
        network = build_network(resolve_config({"width": 0.02, **settings}), num_classes)
        return repr(network), {name: array.tobytes() for name, array in network.state_dict().items()}

    assert describe() == describe()
    assert describe(**changed) != describe()


def test_a_bad_start_leaves_no_folder(quick, tmp_path, capsys):
    fails(capsys, *quick, "--batch-size", "1000", "--out", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server on this machine with a small archive in CIFAR-10's layout; gives its address and checksum."""
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "small.tar.gz", "w:gz") as archive:
        for name in [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]:
            pixels = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
            content = np.hstack([np.arange(20, dtype=np.uint8)[:, None] % 10, pixels]).tobytes()
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        checksum = hashlib.md5((served / "small.tar.gz").read_bytes()).hexdigest()
        yield f"http://127.0.0.1:{server.server_port}/small.tar.gz", checksum
        server.shutdown()
        thread.join()


def test_cifar10_comes_from_the_mirror_that_is_named(mirror, tmp_path, capsys):
    url, checksum = mirror
    train = ["train", "--data", "cifar10", "--data-url", url, *QUICK, "--epochs", "1"]
    wrong = fails(capsys, *train, "--data-md5", "0" * 32, "--out", str(tmp_path / "wrong"))
    assert "checksum" in wrong or "md5" in wrong
    assert main([*train, "--data-md5", checksum, "--out", str(tmp_path / "right")]) == 0
    assert "75 training, 25 validation and 20 test images" in capsys.readouterr().out


def test_the_next_command_can_be_typed_as_it_stands(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "minicnn"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(script), "train"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert program() == os.path.join("bin", "minicnn")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert program() == "minicnn"
    monkeypatch.setattr("sys.argv", ["-c"])
    assert program() == "minicnn"
    monkeypatch.setattr("sys.argv", [str(tmp_path / "minicnn" / "__main__.py"), "train"])
    monkeypatch.setattr("sys.executable", "/a b/python")
    assert program() == "'/a b/python' -m minicnn"
