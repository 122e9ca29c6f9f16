"""The `minicnn` command: what it does, what it prints, and its one line for everything that is wrong."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from command_process import COMMAND, start
from failing_command import fails
from minicnn import Tensor, data
from minicnn.cli import main
from minicnn.cli.networks import build_network, load_network
from minicnn.cli.train import program, resolve_config
from minicnn.parallel import get_num_threads, set_num_threads
from minicnn.training import RunFolder, load_checkpoint
from minicnn.training.checkpoint_file import decode, encode
from minicnn.training.newest_checkpoint import CHECKPOINT

# The smallest GoogLeNet there is, on a folder of sixty images: about ten milliseconds a step.
QUICK = [
    "--width", "0.02", "--batch-size", "16", "--val-fraction", "0.25", "--lr", "0.01",
    "--average-epochs", "1",
]  # fmt: skip
COLOURS = ("blue", "green", "red")


@pytest.fixture(autouse=True)
def undo_threads():
    before = get_num_threads()
    yield
    set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def no_curves():
    """Drawing takes longer than training here; tests/training sees to it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Three classes of twenty images each, in which one colour is stronger."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for place, name in enumerate(COLOURS):
        (root / name).mkdir()
        for number in range(20):
            image = rng.integers(0, 150, (32, 32, 3))
            image[:, :, 2 - place] += 105
            Image.fromarray(image.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def quick(photos) -> list[str]:
    return ["train", "--data", "folder", "--data-dir", str(photos), *QUICK]


@pytest.fixture(scope="module")
def finished(quick, tmp_path_factory) -> Path:
    """The folder of a finished run."""
    run = tmp_path_factory.mktemp("runs") / "run"
    assert main([*quick, "--epochs", "2", "--out", str(run)]) == 0
    return run


def same_arrays(first: Path, second: Path) -> bool:
    a, b = load_file(first / CHECKPOINT), load_file(second / CHECKPOINT)
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


# ---- train ------------------------------------------------------------------------------------------


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


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.01)


def test_killed_and_resumed(quick, tmp_path, capsys):
    """SIGKILL leaves no time for tidying up: the hardest way for a run to end."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings = ["--epochs", "6", "--schedule", "plateau", "--patience", "1"]
    process = start([*quick, *settings, "--out", str(killed), "--threads", "1"])
    wait_for_file(killed / "metrics.jsonl")
    process.kill()
    process.communicate()
    assert not (killed / "result.json").exists()

    assert main(["train", "--resume", str(killed), "--threads", "2"]) == 0
    assert main([*quick, *settings, "--out", str(whole)]) == 0
    assert same_arrays(whole, killed)
    lines = (killed / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_interrupted(quick, tmp_path, number, status):
    """The step is finished and kept, and the command that is printed goes on from there."""
    run = tmp_path / "my run"
    process = start([*quick, "--epochs", "1000", "--out", str(run)])
    wait_for_file(run / "metrics.jsonl")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    kept = load_checkpoint(run / CHECKPOINT)
    assert err == f"\nminicnn: stopped; {kept.place} is kept. To go on: minicnn train --resume '{run}'\n"


def test_a_run_whose_reader_goes_away(quick, finished, tmp_path):
    """As in `minicnn train | head -1`: what is trained is not lost to whoever reads about it."""
    run = tmp_path / "run"
    with start([*quick, "--epochs", "2", "--out", str(run)]) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 141
    assert err == "progress cannot be shown any more (Broken pipe); training goes on\n"
    assert same_arrays(run, finished)
    assert (run / "result.json").exists()


def test_a_terminal_that_is_closed(quick, tmp_path):
    """Its user logs out, or the connection breaks: SIGHUP, and nobody to say anything to."""
    pytest.importorskip("termios", reason="this system has no such terminals")
    run = tmp_path / "run"
    code = f"import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); {COMMAND}"
    arguments = [sys.executable, "-c", code, *quick, "--epochs", "100000", "--out", str(run)]
    mine, its = os.openpty()
    process = subprocess.Popen(arguments, stdin=its, stdout=its, stderr=its)
    os.close(its)
    with open(mine, "rb", buffering=0) as terminal:
        deadline = time.monotonic() + 60
        while not (run / "metrics.jsonl").exists():
            assert time.monotonic() < deadline
            terminal.read(65536)  # or the run would wait for somebody to read
    assert process.wait(timeout=60) == 129
    load_checkpoint(run / CHECKPOINT)


@pytest.mark.skipif(os.name != "posix", reason="numbers of open files are given by POSIX, lowest first")
def test_closed_streams(quick, finished, tmp_path):
    """A file opened later must not get the number of standard output: libraries in C would write into it."""
    run = tmp_path / "run"
    code = (
        "import os, sys; [os.close(stream) for stream in (0, 1, 2)]; "
        "sys.stdin = sys.stdout = sys.stderr = None; from minicnn.cli import main; "
        "status = main(); assert os.open(os.devnull, 0) > 2; os._exit(status)"
    )
    arguments = [*quick, "--epochs", "2", "--out", str(run)]
    assert subprocess.run([sys.executable, "-c", code, *arguments], timeout=60).returncode == 0
    assert same_arrays(run, finished)


def test_two_processes_on_one_run(quick, tmp_path, capsys):
    run = tmp_path / "run"
    process = start([*quick, "--epochs", "1000", "--out", str(run)])
    wait_for_file(run / CHECKPOINT)
    line = fails(capsys, "train", "--resume", str(run))
    assert line == (
        f"{run}: another process (number {process.pid}) is training this run; wait until it ends, or stop it"
    )
    assert main(["eval", str(run)]) == 0, "whoever only reads may"
    process.kill()
    process.communicate()
    assert "cannot go on with --epochs 1" in fails(capsys, "train", "--resume", str(run), "--epochs", "1")
    with RunFolder.open(run).locked():  # the kernel has released it
        pass


def test_resume_before_the_first_checkpoint_starts_over(finished, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_bytes((finished / "config.json").read_bytes())
    assert main(["train", "--resume", str(run)]) == 0
    assert same_arrays(run, finished)


def test_resume_of_a_finished_run(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert main(["train", "--resume", str(finished)]) == 0
    assert "is finished: 2 epochs, test accuracy" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_resume_with_other_settings(finished, photos, tmp_path, capsys):
    resume = ["train", "--resume", str(finished)]
    assert (
        "was started with --lr 0.01 and cannot go on with --lr 0.5; "
        "only --threads and the source of the data may change"
    ) in fails(capsys, *resume, "--lr", "0.5")
    assert "was started with --aux and" in fails(capsys, *resume, "--no-aux")
    assert "was started with no --limit and" in fails(capsys, *resume, "--limit", "9")
    assert "together with --out" in fails(capsys, *resume, "--out", str(tmp_path / "x"))
    assert main([*resume, "--lr", "0.01", "--data-dir", str(photos)]) == 0


def test_resume_on_other_images(finished, photos, tmp_path, capsys):
    run, fewer = tmp_path / "run", tmp_path / "photos"
    run.mkdir()
    (run / "config.json").write_bytes((finished / "config.json").read_bytes())
    for name in COLOURS:
        (fewer / name).mkdir(parents=True)
        for path in sorted((photos / name).iterdir())[:12]:
            os.link(path, fewer / name / path.name)
    line = fails(capsys, "train", "--resume", str(run), "--data-dir", str(fewer))
    assert "the images found now, or their order, are not those" in line


def test_resume_on_images_in_another_order(finished, photos, tmp_path, capsys):
    """Two of them have changed places: number, mean and spread are the same, and training would not be."""
    run, changed = tmp_path / "run", tmp_path / "photos"
    run.mkdir()
    (run / "config.json").write_bytes((finished / "config.json").read_bytes())
    shutil.copytree(photos, changed)
    first, second = sorted((changed / "red").iterdir())[:2]
    first.rename(changed / "aside")
    second.rename(first)
    (changed / "aside").rename(second)
    line = fails(capsys, "train", "--resume", str(run), "--data-dir", str(changed))
    assert "the images found now, or their order, are not those" in line


def test_resume_of_a_run_whose_version_kept_no_checksum_of_its_images(finished, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    settings = json.loads((finished / "config.json").read_text())
    assert len(settings.pop("checksum")) == 64
    (run / "config.json").write_text(json.dumps(settings))
    assert main(["train", "--resume", str(run)]) == 0
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


# ---- eval, predict ----------------------------------------------------------------------------------


def test_eval(finished, capsys):
    assert main(["eval", str(finished)]) == 0
    out = capsys.readouterr().out
    result = json.loads((finished / "result.json").read_text())
    assert "on the test split of folder (12 images)" in out
    main_line, aux1, aux2 = out.splitlines()[2:]
    assert main_line.split() == [
        "main", f"{result['test_loss']:.4f}", f"{result['test_accuracy']:.2%}", f"{result['test_top5']:.2%}",
    ]  # fmt: skip
    assert (aux1.split()[0], aux2.split()[0]) == ("aux1", "aux2")


def test_eval_of_the_validation_split(finished, capsys):
    assert main(["eval", str(finished / CHECKPOINT), "--split", "val"]) == 0
    last = json.loads((finished / "metrics.jsonl").read_text().splitlines()[-1])
    lines = capsys.readouterr().out.splitlines()
    for line, head in zip(lines[2:], ("", "_aux1", "_aux2"), strict=True):
        assert line.split()[1:3] == [f"{last[f'val{head}_loss']:.4f}", f"{last[f'val{head}_accuracy']:.2%}"]


def test_eval_without_heads(quick, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([*quick, "--no-aux", "--epochs", "1", "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["eval", str(run)]) == 0
    assert "aux" not in capsys.readouterr().out


def test_eval_on_other_classes(finished, capsys):
    line = fails(capsys, "eval", str(finished), "--data", "shapes")
    assert line == "--data: expected images of the 3 classes the network knows, got 10"


def test_eval_keeps_to_the_normalisation_of_the_run(finished, capsys, monkeypatch):
    def measure(images):
        raise AssertionError("the network has never seen images normalised in this way")

    monkeypatch.setattr("minicnn.data.Normalisation.from_images", measure)
    assert main(["eval", str(finished)]) == 0


def test_predict(finished, photos, tmp_path, capsys):
    images = [str(photos / "red" / "0.png"), str(photos / "blue" / "1.png")]
    alone = tmp_path / "alone.safetensors"  # the checkpoint is enough, without the rest of the folder
    alone.write_bytes((finished / CHECKPOINT).read_bytes())
    assert main(["predict", str(alone), *images]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[4]] == images
    for block in (lines[1:4], lines[5:8]):
        percentages, names = zip(*(line.split() for line in block), strict=True)
        values = [float(text.rstrip("%")) for text in percentages]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(100, abs=0.05)
        assert set(names) == set(COLOURS)

    network, checkpoint, _ = load_network(str(finished))
    x = checkpoint.data.normalisation.apply(np.stack([data.read_image(path, 32) for path in images]))
    logits = network.eval()(Tensor(x)).logits.numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for block, row in zip((lines[1:4], lines[5:8]), probabilities, strict=True):
        assert {name: float(text.rstrip("%")) for text, name in map(str.split, block)} == pytest.approx(
            dict(zip(COLOURS, 100 * row, strict=True)), abs=0.006
        )


def test_predict_names_the_others_if_one_image_is_bad(finished, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minicnn.cli.predict.IMAGES_AT_A_TIME", 2)
    good = [str(photos / "red" / f"{k}.png") for k in range(3)]
    (tmp_path / "bad.png").write_bytes(b"no image")
    odd = tmp_path / os.fsdecode(b"odd \xff.png")
    odd.write_bytes((photos / "red" / "0.png").read_bytes())
    bad = [str(tmp_path / name) for name in ("bad.png", "none.png")]
    assert main(["predict", str(finished), good[0], bad[0], good[1], *bad, str(odd)]) == 2
    out, err = capsys.readouterr()
    written = str(odd).encode("utf-8", "backslashreplace").decode()
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [*good[:2], written]
    lines = err.splitlines()
    assert [line.split(":")[2].strip() for line in lines] == [bad[0], *bad]
    assert all(line.startswith("minicnn: error: ") for line in lines)


def test_python_m_minicnn():
    command = [sys.executable, "-m", "minicnn", "summary", "nothing"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("minicnn: error: ")


def test_names_of_files_do_not_command_the_terminal(finished, photos, tmp_path, capsys):
    (tmp_path / "\x1b[2J.png").write_bytes((photos / "red" / "0.png").read_bytes())
    (tmp_path / "\x1b[31m\nred.png").write_bytes(b"no image")
    assert main(["predict", str(finished), *map(str, sorted(tmp_path.iterdir()))]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"{tmp_path}/\\x1b[2J.png"
    assert err.startswith(f"minicnn: error: {tmp_path}/\\x1b[31m red.png: ")
    assert err.count("\n") == 1
    line = fails(capsys, "train", "--\x1b[2J")
    assert "unrecognized arguments: --\\x1b[2J" in line


def test_predict_with_the_weights_of_another_program(photos, tmp_path, capsys):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "bf16.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    line = fails(capsys, "predict", str(path), str(photos / "red" / "0.png"))
    assert line.startswith(f"{path}: a safetensors file, but not a checkpoint of minicnn's")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header["config"].update(width=1e300), "--width: expected a number above 0 and below"),
        (lambda header: header["config"].update(limit=1.5), "--limit: expected a whole number, got 1.5"),
        (lambda header: header["config"].update(width=1000.0), "its weights do not fit its own settings"),
        (lambda header: header["data"].update(class_names=["x"] * 10**5), "do not fit its own settings"),
        (lambda header: header["data"].update(class_names=[1, 2, 3]), "names of its classes are damaged"),
        (lambda header: header["data"].update(class_names="abc"), "names of its classes are damaged"),
    ],
)
def test_predict_with_a_checkpoint_that_asks_for_too_much(finished, photos, tmp_path, capsys, change, words):
    header, arrays = decode(finished / CHECKPOINT)
    del header["checksum"]
    change(header)
    path = tmp_path / "a.safetensors"
    path.write_bytes(encode(header, arrays))
    assert words in fails(capsys, "predict", str(path), str(photos / "red" / "0.png"))


def test_what_is_used_if_the_newest_checkpoint_is_damaged(finished, photos, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    content = bytearray((run / CHECKPOINT).read_bytes())
    content[-1] ^= 1
    (run / CHECKPOINT).write_bytes(content)
    for command in (["eval", str(run)], ["predict", str(run), str(photos / "red" / "0.png")]):
        assert main(command) == 0
        err = capsys.readouterr().err
        assert err.startswith(f"{run / CHECKPOINT}: damaged")
        assert err.endswith("; going back to checkpoint.previous.safetensors, after epoch 1\n")


def test_interrupted_elsewhere(finished, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("minicnn.cli.evaluate.load_network", interrupt)
    assert main(["eval", str(finished)]) == 130
    assert capsys.readouterr().err == "minicnn: stopped\n"


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


# ---- summary, gradcheck, help -----------------------------------------------------------------------


def test_summary(capsys):
    assert main(["summary", "googlenet_cifar", "--width", "0.25", "--input-size", "48"]) == 0
    assert "inception4a" in capsys.readouterr().out


def test_gradcheck(capsys):
    assert main(["gradcheck", "--op", "relu"]) == 0
    assert "right" in capsys.readouterr().out


def test_gradcheck_finds_a_wrong_gradient(capsys, monkeypatch):
    from minicnn.ops.relu import ReLU

    correct = ReLU.backward
    monkeypatch.setattr(ReLU, "backward", lambda self, gy: (2 * correct(self, gy)[0],))
    assert main(["gradcheck", "--op", "relu"]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "eval", "predict", "summary", "gradcheck"])
def test_help_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"examples:\n  minicnn {command}" in out


def test_help_shows_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = capsys.readouterr().out
    options = " ".join(out.split()).split(" --")
    for flag in ("momentum M", "val-fraction F", "epochs N", "schedule", "no-aux", "limit N", "data {"):
        (text,) = [option for option in options if option.startswith(flag)]
        assert "(default: " in text, flag


def test_version(capsys):
    import minicnn

    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n"


# ---- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "the following arguments are required: COMMAND (see minicnn --help)"),
        ("fly", "invalid choice: 'fly'"),
        ("sumary", "did you mean 'summary'? (see minicnn --help)"),
        ("train --bogus", "unrecognized arguments: --bogus (see minicnn train --help)"),
        ("train --epoch 3", "unrecognized arguments: --epoch 3; did you mean '--epochs'?"),
        ("cost conv --channel=3", "--channel=3; did you mean '--channels'? (see minicnn cost conv --help)"),
        ("--bogus cost conv", "unrecognized arguments: --bogus (see minicnn --help)"),
        ("summary googlenett", "did you mean 'googlenet'? (see minicnn summary --help)"),
        ("train --epochs 0", "--epochs: expected a whole number of at least 1, got 0"),
        ("train --epochs -3", "--epochs: expected a whole number of at least 1, got -3"),
        ("train --epochs ten", "argument --epochs: expected a whole number, got 'ten'"),
        ("train --lr fast", "argument --lr: expected a number, got 'fast'"),
        ("train --lr -0.1", "--lr: expected a number above 0, got -0.1"),
        ("train --model alexnet", "argument --model: invalid choice: 'alexnet'"),
        ("train --model googlenet --width 0.5", "--width: only googlenet-cifar can be scaled"),
        ("train --schedule up", "argument --schedule: invalid choice: 'up'"),
        ("train --data imagenet", "argument --data: invalid choice: 'imagenet'"),
        ("train --data folder", "give --data-dir"),
        ("train --data folder --data-dir {tmp}/nothing", "nothing: expected a folder"),
        ("train --data cifar10 --data-dir {tmp}/nothing", "nothing: expected the folder of CIFAR-10"),
        ("train --device gpu", '--device: expected "cpu", "cuda" or "cuda:<number>", got "gpu"'),
        ("train --threads 0", "--threads: expected a whole number of at least 1, got 0"),
        ("train --out {run}", "already holds a run"),
        ("train --out {run} --data folder --data-dir {tmp}/nothing", "already holds a run"),
        ("train --resume {tmp}/nothing", "not the folder of a run: there is no such folder"),
        ("train --resume {tmp}", "not the folder of a run: it has no config.json"),
        ("train --overfit-one-batch --out {tmp}/x", "does not go together with --out"),
        ("eval {tmp}/nothing", "there is no such checkpoint or folder"),
        ("eval {tmp}", "neither a checkpoint nor the folder of a run"),
        ("eval {tmp}/broken.safetensors", "broken.safetensors: damaged, or not a safetensors file"),
        ("eval {run} --split train", "argument --split: invalid choice: 'train'"),
        ("eval {run} --threads 0", "argument --threads: expected a whole number of at least 1, got 0"),
        ("eval {run} --data-dir {tmp}/nothing", "nothing: expected a folder"),
        ("predict {run}", "the following arguments are required: IMAGE"),
        ("predict {run} {tmp}/nothing.png", "nothing.png: expected an image file, but there is no such file"),
        ("predict {run} {tmp}/broken.safetensors", "expected an image, cannot read it"),
        ("summary vgg", "argument MODEL: invalid choice: 'vgg'"),
        ("summary googlenet --width 2", "--width: only googlenet-cifar can be scaled"),
        ("summary googlenet --width -2", "argument --width: expected a number above 0, got -2"),
        ("gradcheck --op fly", "expected an op among"),
        ("gradcheck --op relu --model googlenet", "not allowed with argument"),
    ],
)
def test_bad_input(arguments, words, finished, tmp_path, capsys):
    (tmp_path / "broken.safetensors").write_bytes((finished / CHECKPOINT).read_bytes()[:5000])
    line = fails(capsys, *arguments.format(tmp=tmp_path, run=finished).split())
    assert words in line


def test_a_bad_start_leaves_no_folder(quick, tmp_path, capsys):
    fails(capsys, *quick, "--batch-size", "1000", "--out", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_not_enough_memory_and_other_trouble_of_the_machine(monkeypatch, quick, tmp_path, capsys):
    def too_much(*arguments):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr("minicnn.cli.train.load_images", too_much)
    assert "not enough memory (Unable to allocate 3 TiB); a smaller --batch-size" in fails(capsys, *quick)

    def full(*arguments):
        raise OSError(28, "No space left on device", "runs/1/checkpoint.safetensors.tmp")

    monkeypatch.setattr("minicnn.cli.train.load_images", full)
    assert fails(capsys, *quick) == "runs/1/checkpoint.safetensors.tmp: No space left on device"


def test_bugs_keep_their_traceback(monkeypatch, quick):
    def bug(*arguments):
        raise IndexError("ours")

    monkeypatch.setattr("minicnn.cli.train.load_images", bug)
    with pytest.raises(IndexError, match="ours"):
        main(quick)


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
