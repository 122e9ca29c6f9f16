"""All commands: help, version, and one line for everything that is wrong."""

import io
import subprocess
import sys

import pytest

from failing_command import fails
from minicnn.cli import main
from minicnn.training.newest_checkpoint import CHECKPOINT

pytestmark = pytest.mark.usefixtures("no_curves")


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


def test_names_of_runs_do_not_either(quick, photos, tmp_path, capsys):
    run, page = tmp_path / "\x1b[2Jrun", tmp_path / "\x07.html"
    assert main([*quick, "--epochs", "1", "--out", str(run)]) == 0
    for command in (["train", "--resume"], ["eval"], ["flow"]):
        assert main([*command, str(run)]) == 0
    assert (
        main(["look", str(run), str(photos / "red" / "0.png"), "--out", str(tmp_path / "\x1b[2Jlook")]) == 0
    )
    assert main(["explore", str(run), "--out", str(page)]) == 0
    printed = capsys.readouterr().out
    assert [letter for letter in printed if not letter.isprintable() and letter != "\n"] == []
    assert f"eval $'{tmp_path}/\\x1b[2Jrun'" in printed, "it can be pasted into a shell"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_progress_bar_is_drawn_over_itself(quick, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main([*quick, "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    printed = terminal.getvalue()
    assert "\repoch 1/1" in printed
    assert "\\" not in printed
    assert sys.stdout is terminal, "it is given back"


def test_interrupted_elsewhere(finished, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("minicnn.cli.evaluate.load_network", interrupt)
    assert main(["eval", str(finished)]) == 130
    assert capsys.readouterr().err == "minicnn: stopped\n"


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
