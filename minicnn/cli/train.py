"""`minicnn train`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from minicnn.backend import Array
from minicnn.cli.networks import INPUT_SIZE, build_network, use_device_for_command
from minicnn.cuda.products import set_float32_matmul_precision
from minicnn.errors import CheckpointError, UsageError
from minicnn.nn import Module
from minicnn.parallel import set_num_threads
from minicnn.training import (
    Config,
    GradientWatch,
    Images,
    RunFolder,
    Splits,
    StopRequest,
    TrainingStopped,
    claim_free_folder,
    describe,
    find_recipe,
    load_images,
    make_splits,
    overfit_one_batch,
    train,
)
from minicnn.training.config import CHANGEABLE_ON_RESUME, flag
from minicnn.training.gradient_watch import is_watched, last_interval
from minicnn.training.keeper import MINUTES
from minicnn.training.overfit import GENTLE_RATE
from minicnn.training.run_folder import refuse_existing_run
from minicnn.training.shell import as_argument, resume_command
from minicnn.training.watch.causes import ACTIVATION, INITIALISATION, blamed

OVERFIT_IMAGES = 32  # more would only take longer


def train_command(options: argparse.Namespace) -> int:
    """Start a run or continue one; returns the exit status."""
    settings = {field.name for field in fields(Config)}
    given = {name: value for name, value in vars(options).items() if name in settings}
    if given.get("data_dir") is not None:
        given["data_dir"] = str(Path(given["data_dir"]).absolute())  # a run may be continued from elsewhere
    overfit = hasattr(options, "overfit_one_batch")
    profile = hasattr(options, "profile")
    watch_every = getattr(options, "watch_gradients", None)
    minutes = getattr(options, "checkpoint_minutes", MINUTES)
    for other in ("resume", "out", "profile", "watch_gradients", "checkpoint_minutes"):
        if overfit and hasattr(options, other):
            raise UsageError(
                f"--overfit-one-batch writes nothing and does not go together with {flag(other)}"
            )
    if hasattr(options, "resume"):
        if hasattr(options, "out"):
            raise UsageError("--resume writes to the folder of its run: it does not go together with --out")
        return _resume(options.resume, given, profile, watch_every, minutes)
    config = resolve_config(given)
    _use_machine(config, profile, watch_every)
    if overfit:
        return _overfit(config, given)
    if hasattr(options, "out"):
        refuse_existing_run(options.out)
    images = load_images(config, INPUT_SIZE[config.model])
    config = _fit_batch(config, images, given)
    splits = make_splits(images, config, INPUT_SIZE[config.model])
    run = RunFolder.create(getattr(options, "out", None) or claim_free_folder(config), config, splits.facts)
    return _train(config, splits, run, profile, watch_every, minutes)


def resolve_config(given: dict[str, Any]) -> Config:
    """Fill what was not given from the recipe.

    Examples
    --------
    >>> config = resolve_config({"recipe": "blog", "epochs": 2})
    >>> config.epochs, config.lr, config.data
    (2, 0.01, 'shapes')
    """
    model, data = given.get("model", Config.model), given.get("data", Config.data)
    recipe = find_recipe(given.get("recipe", Config.recipe), model, data)
    settings = {**asdict(recipe), **given}
    if model == "googlenet":
        if given.get("width", 1.0) != 1.0:
            raise UsageError("--width: only googlenet-cifar can be scaled; googlenet is as published")
        settings["width"] = 1.0
    return Config(**settings)


def _resume(
    folder: str, given: dict[str, Any], profile: bool, watch_every: int | None, minutes: float
) -> int:
    run = RunFolder.open(folder)
    config, facts = run.read_config()
    for name, value in given.items():
        if name not in CHANGEABLE_ON_RESUME and value != getattr(config, name):
            raise UsageError(
                f"--resume: {folder} was started with {_as_flag(name, getattr(config, name))} and cannot "
                f"go on with {_as_flag(name, value)}; only --threads and the source of the data may change: "
                "start a new run instead"
            )
    if (result := run.read_result()) is not None:
        print(
            f"{folder} is finished: {result['epochs']} epochs, test accuracy {result['test_accuracy']:.2%}; "
            "there is nothing to continue"
        )
        return 0
    with run.locked():  # before the data are loaded, which may take long
        config = replace(config, **{name: given[name] for name in CHANGEABLE_ON_RESUME if name in given})
        if watch_every is None and is_watched(run):
            watch_every = last_interval(run)
            if watch_every is None:
                print("this run was watched; add --watch-gradients to go on")
        _use_machine(config, profile, watch_every)
        images = load_images(config, INPUT_SIZE[config.model])
        if not images.facts.agree_with(facts):
            raise CheckpointError(
                f"{folder}: the images found now, or their order, are not those its config.json was written "
                "for; bring them back, or start a new run"
            )
        splits = make_splits(images, config, INPUT_SIZE[config.model])
        return _train(config, splits, run, profile, watch_every, minutes)


def _train(
    config: Config, splits: Splits, run: RunFolder, profile: bool, watch_every: int | None, minutes: float
) -> int:
    gradients = GradientWatch(run, watch_every, _measure_gradients) if watch_every else None
    network = build_network(config, len(splits.facts.class_names)).to(config.device)
    print(
        f"{describe(config)}: {splits.facts.train_images:,} training, {splits.facts.val_images:,} validation "
        f"and {len(splits.test.images):,} test images, {network.num_parameters():,} parameters, "
        f"{config.epochs} epochs of {len(splits.train)} steps; results go to {run.path}",
        flush=True,
    )
    try:
        with StopRequest() as stop:
            result = train(network, config, splits, run, profile, gradients, minutes, stop)
    except TrainingStopped as stopped:
        message, number = str(stopped), stopped.number
    except KeyboardInterrupt:  # a second one, in the middle of something
        checkpoint, _ = run.load_checkpoint()
        message = f"stopped at once; {checkpoint.place if checkpoint else 'nothing'} is kept"
        number = signal.SIGINT
    else:
        _report(result, run, gradients)
        return 0
    with suppress(OSError):  # the terminal may be what has gone
        print(f"\nminicnn: {message}. To go on: {resume_command(run.path, program())}", file=sys.stderr)
    return 128 + number  # as shells have it


def _report(result: dict[str, Any], run: RunFolder, gradients: GradientWatch | None) -> None:
    path = as_argument(run.path)
    print(
        f"test accuracy {result['test_accuracy']:.2%}, top-5 {result['test_top5']:.2%}, "
        f"loss {result['test_loss']:.4f} on {result['test_images']:,} images never used before; "
        f"{result['seconds']:.0f} s of training\n"
        f"results are in {run.path}: curves.png, result.json, metrics.jsonl, checkpoint.safetensors"
        f"{', gradients.jsonl, gradients.png' if gradients else ''}\n"
        f"next: {program()} predict {path} IMAGE...\n"
        f"      {program()} eval {path}"
    )


def _fit_batch(config: Config, images: Images, given: dict[str, Any]) -> Config:
    """Bring a recipe's batch size, but not one that was asked for, down to what there is."""
    available = images.facts.train_images
    if "batch_size" in given or config.batch_size <= available:
        return config
    print(f"the recipe's batches of {config.batch_size} are cut down to the {available} training images")
    return replace(config, batch_size=available)


def _overfit(config: Config, given: dict[str, Any]) -> int:
    images = load_images(config, INPUT_SIZE[config.model])
    size = given.get("batch_size", min(OVERFIT_IMAGES, images.facts.train_images))
    config = replace(config, batch_size=size, augment=False)
    splits = make_splits(images, config, INPUT_SIZE[config.model])
    network = build_network(config, len(splits.facts.class_names)).to(config.device)
    x, labels = next(splits.train.epoch(0))
    lr = given.get("lr", GENTLE_RATE)
    classes = len(splits.facts.class_names)
    print(f"can {describe(config)} learn {len(labels)} images by heart, at a learning rate of {lr:g}?")
    advice = blamed((INITIALISATION, ACTIVATION), config)
    learned = overfit_one_batch(network, x, labels, classes, lr, config.aux_weight, advice=advice)
    return 0 if learned else 1


def _measure_gradients(
    network: Module, images: Array, labels: Array, aux_weight: float
) -> dict[str, dict[str, float | None]]:
    """Say for each layer what `GradientWatch` writes down, with six digits."""
    from minicnn.study import gradient_flow

    def rounded(number: float | None) -> float | None:
        return number if number is None else float(f"{number:.6g}")

    found = {}
    for row in gradient_flow(network, images, labels, aux_weight).rows:
        figures = row.to_json()
        chosen = {
            "norm": figures["norm"], **figures["norms"], "gradient_to_weight": figures["gradient_to_weight"],
        }  # fmt: skip
        found[row.layer] = {name: rounded(number) for name, number in chosen.items()}
    return found


def _use_machine(config: Config, profile: bool = False, watch_every: int | None = None) -> None:
    if profile and config.device != "cpu":
        raise UsageError(
            f"--profile measures ops on the CPU; it does not go together with --device {config.device}"
        )
    if watch_every and config.device != "cpu":
        raise UsageError(
            "--watch-gradients runs the network op by op, on the CPU; it does not go together with "
            f"--device {config.device}"
        )
    use_device_for_command(config.device)
    set_float32_matmul_precision(config.matmul_precision)
    if config.threads is not None:
        set_num_threads(config.threads)


def _as_flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag(name) if value else f"--no-{flag(name)[2:]}"
    return f"no {flag(name)}" if value is None else f"{flag(name)} {value}"


def program() -> str:
    """Give the word that starts this command in the user's shell: a path if no environment is active."""
    started_as = Path(sys.argv[0])
    if started_as.name == "__main__.py":  # python -m minicnn
        return f"{shlex.quote(sys.executable)} -m minicnn"
    if started_as.name != "minicnn" or shutil.which("minicnn") == str(started_as):
        return "minicnn"
    return shlex.quote(os.path.relpath(started_as))
