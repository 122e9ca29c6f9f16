"""Measurement 4: what a user sees when something is wrong; and a run through the real command line."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from benchmarks.frameworks.with_minicnn import make_network
from benchmarks.gpu.isolation import run_command
from benchmarks.gpu.notes import Notes
from minicnn import Tensor
from minicnn import functional as F
from minicnn.backend import to_device, use_device
from minicnn.errors import MinicnnError
from minicnn.training.nonfinite import find_first_nonfinite

PROGRAM = [sys.executable, "-c", "import sys; from minicnn.cli import main; sys.exit(main())"]
MOST_SECONDS = 40  # for one command
CLOSE = 0.005  # accuracies on CPU and GPU: of two thousand images a few may lie on the border


class UnexpectedError(Exception):
    """It was not as it should be."""


def run(notes: Notes) -> None:
    """Try all of them; each says what was seen."""
    use_device("cuda")
    notes.note("situations", [])
    with tempfile.TemporaryDirectory() as folder:
        for title, situation in (
            ("tensors on CPU and GPU mixed", lambda: mixed_devices()),
            ("a label that is no class", lambda: label_outside()),
            ("NaN in a weight", lambda: nan_in_a_weight(notes)),
            ("overflow inside the network", lambda: overflow(notes)),
            ("train, eval, predict, resume by the command line", lambda: command_line(notes, Path(folder))),
            ("a batch too large for the memory", lambda: too_large_a_batch(notes, Path(folder))),
        ):
            entry = {"situation": title, "ok": True}
            try:
                entry["seen"] = situation()
            except Exception as error:  # noqa: BLE001 - the others go on
                entry |= {"ok": False, "seen": f"{type(error).__name__}: {error}"}
            notes.add("situations", entry)


def refuse(what: str, seen: str) -> NoReturn:
    """Say what is wrong."""
    raise UnexpectedError(f"{what}: {seen.strip()}")


def message_of(function: Callable[[], object]) -> str:
    """Return the message of the error that a function has to raise."""
    try:
        function()
    except MinicnnError as error:
        return str(error)
    raise UnexpectedError("expected an error, there was none")


def mixed_devices() -> str:
    """The error names both devices."""
    x, w = np.ones((1, 4, 4, 3), np.float32), np.ones((3, 3, 3, 2), np.float32)
    message = message_of(lambda: F.conv2d(Tensor(x), Tensor(to_device(w, "cuda"))))
    return (
        message if "cpu" in message and "cuda:0" in message else refuse("both devices are not named", message)
    )


def label_outside() -> str:
    """The error says which labels there may be."""
    logits = Tensor(to_device(np.zeros((2, 10), np.float32), "cuda"))
    message = message_of(lambda: F.cross_entropy(logits, np.array([3, 10])))
    return message if "0 to 9" in message else refuse("the range is not named", message)


def on_both(notes: Notes, spoil: Callable[[dict[str, np.ndarray]], None]) -> str:
    """Spoil the weights of a network, and let CPU and GPU say where it shows first."""
    workload = notes.sizes.workloads()[0]
    weights = make_network(workload).state_dict()
    spoil(weights)
    images = np.random.default_rng(0).normal(size=(2, workload.side, workload.side, 3)).astype(np.float32)
    found = []
    for device in ("cuda", "cpu"):
        network = make_network(workload)
        network.load_state_dict(weights)
        with np.errstate(all="ignore"):  # the CPU would warn of it
            labels = np.zeros(len(images), np.int64)
            found.append(
                find_first_nonfinite(network.to(device), to_device(images, device), labels, aux_weight=0.3)
            )
    if found[0] != found[1]:
        refuse("GPU and CPU disagree", " / ".join(found))
    return found[0]


def nan_in_a_weight(notes: Notes) -> str:
    """It is found by name."""
    name = "inception3a.conv1x1.weight"

    def spoil(weights: dict[str, np.ndarray]) -> None:
        weights[name].flat[0] = np.nan

    found = on_both(notes, spoil)
    return found if name in found else refuse(f"{name} is not named", found)


def overflow(notes: Notes) -> str:
    """The op that overflows is found."""

    def spoil(weights: dict[str, np.ndarray]) -> None:
        weights["inception3a.conv3x3_reduce.weight"][...] = 1e20
        weights["inception3a.conv3x3.weight"][...] = 1e20

    found = on_both(notes, spoil)
    return found if "inception3a" in found else refuse("the module is not named", found)


# ---- by the command line ----


def minicnn_command(arguments: Sequence[str]) -> tuple[int | None, str]:
    """Run `minicnn` with arguments in a process of its own; return its status and what it wrote."""
    ended = run_command([*PROGRAM, *arguments], MOST_SECONDS)
    return ended.status, ended.output


def succeed(*arguments: str) -> str:
    """Run a command that has to succeed."""
    status, output = minicnn_command(arguments)
    return (
        output if status == 0 else refuse(f"minicnn {arguments[0]} ended with status {status}", output[-500:])
    )


def command_line(notes: Notes, folder: Path) -> str:
    """Train on the GPU, use what came out on both devices, and go on after an interruption."""
    from PIL import Image

    run_folder, picture = folder / "run", folder / "picture.png"
    train(notes, run_folder, 2, notes.sizes.command_batch, notes.sizes.command_width)
    results = [
        accuracy_of(succeed("eval", str(run_folder), "--device", device)) for device in ("cuda", "cpu")
    ]
    if abs(results[0] - results[1]) > CLOSE:
        refuse("accuracies on GPU and CPU", f"{results[0]:.2%} and {results[1]:.2%}")
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(picture)
    predicted = succeed("predict", str(run_folder), str(picture), "--device", "cuda")
    if "%" not in predicted:
        refuse("predict", predicted)

    finished = json.loads((run_folder / "result.json").read_text())
    (run_folder / "result.json").unlink()  # as if killed in the second epoch
    (run_folder / "checkpoint.previous.safetensors").replace(run_folder / "checkpoint.safetensors")
    succeed("train", "--resume", str(run_folder))
    resumed = json.loads((run_folder / "result.json").read_text())
    same = "the same" if resumed["test_loss"] == finished["test_loss"] else "not the same bits:"
    return (
        f"test accuracy on GPU {results[0]:.2%}, on CPU {results[1]:.2%}; resumed after one of two epochs: "
        f"{same} test loss {resumed['test_loss']:.6f} (uninterrupted {finished['test_loss']:.6f})"
    )


def too_large_a_batch(notes: Notes, folder: Path) -> str:
    """One line says what would fit; and it does."""
    cupy = sys.modules["cupy"]
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    free, _ = cupy.cuda.runtime.memGetInfo()
    batch, width = notes.sizes.too_large
    ballast = cupy.empty(max(1, free - notes.sizes.ballast_leaves), np.uint8)
    try:
        status, output = minicnn_command(train_arguments(notes, folder / "large", 1, batch, width))
        message = output.strip().splitlines()[-1] if output.strip() else ""
        advice = re.search(r"--batch-size (\d+) would fit", message)
        if status != 2 or not advice:
            refuse(f"status {status}, expected 2 and a batch size that would fit", output[-500:])
        train(notes, folder / "fitting", 1, int(advice.group(1)), width)
        return f"{message}; and a run with --batch-size {advice.group(1)} did fit"
    finally:
        del ballast
        pool.free_all_blocks()


def train(notes: Notes, folder: Path, epochs: int, batch: int, width: float) -> str:
    """Train a network to the end."""
    return succeed(*train_arguments(notes, folder, epochs, batch, width))


def train_arguments(notes: Notes, folder: Path, epochs: int, batch: int, width: float) -> list[str]:
    """Write down a run on the embedded data."""
    settings = {
        "--device": "cuda", "--data": "shapes", "--limit": notes.sizes.command_images, "--epochs": epochs,
        "--batch-size": batch, "--width": width, "--out": folder,
    }  # fmt: skip
    return ["train", *(str(part) for item in settings.items() for part in item)]


def accuracy_of(printed: str) -> float:
    """Read the accuracy of the main classifier from what `minicnn eval` prints.

    Examples
    --------
    >>> accuracy_of("head     loss  accuracy    top-5\\nmain   0.5000    93.25%   99.00%")
    0.9325
    """
    found = re.search(r"^main\s+\S+\s+([\d.]+)%", printed, re.MULTILINE)
    if not found:
        raise UnexpectedError(f"no accuracy in: {printed}")
    return float(found.group(1)) / 100
