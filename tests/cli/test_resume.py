"""`minicnn train --resume`, and runs that were killed, interrupted or left alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_process import COMMAND, start
from failing_command import fails
from minicnn.cli import main
from minicnn.training import RunFolder, load_checkpoint
from minicnn.training.newest_checkpoint import CHECKPOINT
from tiny_run import COLOURS, same_arrays

pytestmark = pytest.mark.usefixtures("no_curves")


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
