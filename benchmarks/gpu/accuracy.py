"""Measurement 3: one run on CIFAR-10, as long as its minutes allow, with the original network.

How many epochs that is depends on the GPU. The schedule has to know before it begins, so a trial of two
epochs is timed first, with everything an epoch takes: steps, validation, checkpoint, curves.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import BenchmarkError
from benchmarks.gpu.notes import write_json
from benchmarks.gpu.report import Record, table
from minicnn import set_float32_matmul_precision
from minicnn.backend import use_device
from minicnn.cli.networks import INPUT_SIZE, build_network
from minicnn.training import Config, Images, Recipe, RunFolder, load_images, make_splits, train
from minicnn.training.run_folder import METRICS

# What is meant to reach 92%. There is no batch normalisation: without the limit on the gradients' norm such a
# rate throws the network back to guessing (docs/training.md). Small batches give it more updates in the time.
RECIPE = Recipe(
    epochs=1,  # set by the clock
    batch_size=128,
    lr=0.05,
    schedule="one-cycle",
    warm_up=0.2,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    clip_norm=2.0,
    aux_weight=0.3,
    average_epochs=2.0,
    augment=True,
    initialisation="he",
    width=1.0,
)
PRECISION = "high"  # TF32
VAL_FRACTION = 0.02  # only watched, nothing is chosen by it
MOST_EPOCHS = 150
SPARE_SHARE = 0.06  # of the time, for what takes longer than in the trial
TRIAL_EPOCHS = 2
TARGET = 0.92


class TimedRunFolder(RunFolder):
    """Notes when each epoch has ended."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.ends: list[float] = []

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Write the line of an epoch."""
        super().append_metrics(row)
        self.ends.append(time.monotonic())


def accuracy(
    seed: int,
    minutes: float,
    data: str,
    data_dir: str | None,
    output: Path,
    device: str = "cuda",
    **settings: Any,
) -> Record:
    """Run it; return what was found, which is also written to accuracy-SEED.json.

    Parameters
    ----------
    seed : int
    minutes : float
        For all of it, loading the data included.
    data, data_dir : str, str or None
        As for `minicnn train`.
    output : Path
        The folder of the run goes there, and the result.
    device : str
    **settings
        Of the recipe, instead of RECIPE's.
    """
    started = time.monotonic()
    use_device(device)
    set_float32_matmul_precision(PRECISION)
    settings = {**asdict(RECIPE), **settings}
    config = Config(
        **{
            "recipe": "default",
            "data": data,
            "data_dir": data_dir,
            "seed": seed,
            "device": device,
            "val_fraction": VAL_FRACTION,
            "matmul_precision": PRECISION,
            **settings,
        }
    )
    images = load_images(config, INPUT_SIZE[config.model])
    folder = output / f"accuracy-{seed}"
    if folder.exists():
        shutil.rmtree(folder)
    trial = run(replace(config, epochs=TRIAL_EPOCHS), images, folder / "trial")
    seconds_per_epoch = trial.ends[-1] - trial.ends[-2]
    shutil.rmtree(trial.path)
    left = 60 * minutes * (1 - SPARE_SHARE) - (time.monotonic() - started)
    epochs = epochs_that_fit(left, seconds_per_epoch)
    print(
        f"{seconds_per_epoch:.2f} s an epoch: {epochs} epochs in the {left:.0f} s that are left", flush=True
    )
    final = run(replace(config, epochs=epochs), images, folder)
    record = {
        "kind": "gpu accuracy", "seed": seed, "data": data, "seconds": time.monotonic() - started,
        "seconds_per_epoch": seconds_per_epoch, "config": public(config.to_json()),
        "result": final.read_result(),
        "epochs": [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()],
    }  # fmt: skip
    write_json(output / f"accuracy-{seed}.json", record)
    return record


def run(config: Config, images: Images, folder: Path) -> TimedRunFolder:
    """Train as `minicnn train` does."""
    size = INPUT_SIZE[config.model]
    splits = make_splits(images, config, size)
    TimedRunFolder.create(folder, config, splits.facts)
    run_folder = TimedRunFolder(folder)
    network = build_network(config, len(splits.facts.class_names)).to(config.device)
    train(network, config, splits, run_folder)
    return run_folder


def epochs_that_fit(seconds: float, seconds_per_epoch: float) -> int:
    """Return how many epochs there is time for; one of them is for the test at the end.

    Examples
    --------
    >>> epochs_that_fit(100.0, 3.0), epochs_that_fit(1.0, 3.0), epochs_that_fit(1e6, 1.0)
    (32, 1, 150)
    """
    return max(1, min(MOST_EPOCHS, int(seconds / seconds_per_epoch) - 1))


def public(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out where the data lay: it means nothing to anybody else."""
    return {
        name: value for name, value in settings.items() if name not in ("data_dir", "data_url", "data_md5")
    }


def accuracies_as_markdown(records: Sequence[Record]) -> str:
    """Write mean and spread of several runs."""
    if len({record["seed"] for record in records}) != len(records):
        raise BenchmarkError("two of these runs have the same seed: expected a run for each")
    results = [record["result"]["test_accuracy"] for record in records]
    rows = [
        [
            str(record["seed"]), f"{record['result']['test_accuracy']:.2%}",
            f"{record['result']['test_loss']:.4f}",
            str(record["result"]["epochs"]), f"{record['seconds']:.0f}",
        ]
        for record in records
    ]  # fmt: skip
    mean = float(np.mean(results))
    deviation = (
        f" with a standard deviation of {float(np.std(results, ddof=1)):.2%}" if len(results) > 1 else ""
    )
    verdict = "reached" if mean >= TARGET else "**not reached**"
    return "\n\n".join(
        [
            "# Accuracy on CIFAR-10"
            if records[0]["data"] == "cifar10"
            else f"# Accuracy on {records[0]['data']}",
            f"Mean test accuracy {mean:.2%}{deviation}, from {min(results):.2%} to {max(results):.2%}, "
            f"{len(results)} {'run' if len(results) == 1 else 'runs'}. Target {TARGET:.0%}: {verdict}.",
            table(["seed", "test accuracy", "test loss", "epochs", "seconds"], rows) + "\n",
        ]
    )
