"""Runs that are killed with SIGKILL at random moments, and resumed: the same run comes out, bit for bit.

Each is a process of its own, as a user starts it. Every operation of a write is followed by a random pause,
so that many of the kills come in the middle of one; where they came is printed.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from minicnn.training import load_checkpoint
from minicnn.training.newest_checkpoint import CHECKPOINT
from tiny_run import write_photos

EPOCHS = 6
CLOCK = ("seconds", "images_per_second")

# What the child runs: the command, with pauses after what it does to the disk, and without pictures.
CHILD = """
import os, random, sys, time
import minicnn.training.durable as durable
import minicnn.training.loop as loop
from minicnn.cli import main

class Slow:
    def __getattr__(self, name):
        value = getattr(os, name)
        if name not in ("open", "write", "fsync", "close", "replace"):
            return value
        def operation(*arguments):
            result = value(*arguments)
            time.sleep(random.uniform(0, PAUSE))
            return result
        return operation

PAUSE = float(sys.argv.pop(1))
durable.os = Slow()
durable.CHUNK = 20_000
loop.draw_curves = lambda *arguments: None
sys.exit(main())
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


def begin(photos: Path, run: Path, threads: int, pause: float = 0.0, *more: str) -> subprocess.Popen:
    """Start a run or, if there is one, go on with it."""
    if (run / "config.json").exists():
        what = ["--resume", str(run)]
    else:
        what = [
            "--data", "folder", "--data-dir", str(photos), "--width", "0.02", "--batch-size", "12",
            "--val-fraction", "0.25", "--lr", "0.01", "--average-epochs", "1", "--schedule", "plateau",
            "--patience", "1", "--epochs", str(EPOCHS), "--out", str(run),
        ]  # fmt: skip
    arguments = ["train", *what, "--threads", str(threads), *more]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(pause), *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> None:
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def outcome(run: Path) -> tuple[dict[str, bytes], list[dict], dict]:
    arrays = {name: array.tobytes() for name, array in load_file(run / CHECKPOINT).items()}
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((run / "result.json").read_text())
    return arrays, [{**row, **dict.fromkeys(CLOCK)} for row in rows], {**result, "seconds": None}


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(begin(photos, run, threads=2))
    return run


def where_it_was(run: Path) -> str:
    if not (run / "config.json").exists():
        return "before the run"
    if (run / (CHECKPOINT + ".tmp")).exists():
        return "while a checkpoint was written"
    if not (run / CHECKPOINT).exists():
        return "before the first checkpoint"
    return "in a step" if load_checkpoint(run / CHECKPOINT).step_of_epoch else "after an epoch's checkpoint"


def kill_and_resume(photos: Path, whole: Path, folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill so many runs, each at a random moment of its training, and compare what comes out."""
    rng = random.Random(seed)
    expected = outcome(whole)
    places: Counter[str] = Counter()
    missed = 0  # kills that came after the end do not count
    while (number := sum(places.values())) < kills:
        run = folder / f"{number} {missed}"
        process = begin(photos, run, rng.choice((1, 2)), 0.004, "--checkpoint-minutes", "0.0001")
        while not (run / "config.json").exists():  # from here on there is something to lose
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 2.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (run / "result.json").exists():
            missed += 1
            continue
        places[where_it_was(run)] += 1
        finish(begin(photos, run, rng.choice((1, 2, 3))))
        assert outcome(run) == expected, f"kill {number} (seed {seed}): {places}"
    print(f"{kills} of {kills} killed runs came out the same; killed {dict(places)}")
    return places


def test_two_kills(photos, whole, tmp_path):
    kill_and_resume(photos, whole, tmp_path, kills=2, seed=random.randrange(10**6))


@pytest.mark.slow
def test_a_hundred_kills(photos, whole, tmp_path):
    places = kill_and_resume(photos, whole, tmp_path, kills=100, seed=random.randrange(10**6))
    assert places["while a checkpoint was written"] >= 10
    assert sum(places.values()) == 100
