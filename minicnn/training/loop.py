"""The training loop."""

from __future__ import annotations

import math
import time
from contextlib import closing, nullcontext
from typing import Any

import numpy as np

from minicnn import optim
from minicnn.errors import CheckpointError, MinicnnError
from minicnn.nn import Module
from minicnn.training.checkpoint import Checkpoint, DataFacts
from minicnn.training.config import Config, describe
from minicnn.training.curves import draw_curves
from minicnn.training.gradient_watch import GradientWatch, keep_recordings
from minicnn.training.keeper import MINUTES, Keeper
from minicnn.training.memory_advice import take_or_advise
from minicnn.training.metrics import add_counts, evaluate, figures_of_heads
from minicnn.training.nonfinite import find_first_nonfinite, quiet_overflow
from minicnn.training.progress import Progress
from minicnn.training.run_folder import CURVES, RunFolder
from minicnn.training.schedule_of_run import rates_so_far
from minicnn.training.smaller_batches import SmallerBatches
from minicnn.training.splits import Splits
from minicnn.training.state import EpochSoFar, TrainingState
from minicnn.training.step import TrainingStep
from minicnn.training.step_profiler import StepProfiler
from minicnn.training.stopping import StopRequest
from minicnn.training.watch import TrainingWatch


class NonFiniteLossError(MinicnnError):
    """The loss or a gradient became infinite or NaN: training has diverged."""


def train(
    model: Module,
    config: Config,
    splits: Splits,
    run: RunFolder,
    profile: bool = False,
    gradients: GradientWatch | None = None,
    checkpoint_minutes: float = MINUTES,
    stop: StopRequest | None = None,
) -> dict[str, Any]:
    """Train a network to the end, from where the checkpoint of the run folder stands.

    Parameters
    ----------
    model : Module
        Freshly initialised; its output is a `GoogLeNetOutput`.
    config : Config
    splits : Splits
        The test images are used once, at the end.
    run : RunFolder
        Where everything is written.
    profile : bool, default=False
        Measure a few steps, and write tables and a trace into the run folder. It changes no result.
    gradients : GradientWatch, default=None
        Records gradients into the run folder. It changes no result either.
    checkpoint_minutes : float, default=5
        A checkpoint is written after every epoch, and when so many minutes have passed since the last.
    stop : StopRequest, default=None
        Asked after every step whether to stop.

    Returns
    -------
    dict
        What result.json holds.

    Raises
    ------
    NonFiniteLossError
        If training diverges; the last completed epoch is kept.
    DeviceMemoryError
        If a step does not fit into the memory of the GPU; says which batch size would. An evaluation that
        does not fit is done in smaller batches instead.
    CheckpointError
        If the run folder's checkpoint cannot be used, or another process trains this run.
    TrainingStopped
        If `stop` says so; everything up to the last step is kept.
    NotKeptError
        If the disk did not take everything up to the end; until then training goes on, and tries again.
    """
    with run.locked():
        return _train(
            model, config, splits, run, profile, gradients, checkpoint_minutes, stop or StopRequest()
        )


def _train(
    model: Module,
    config: Config,
    splits: Splits,
    run: RunFolder,
    profile: bool,
    gradients: GradientWatch | None,
    checkpoint_minutes: float,
    stop: StopRequest,
) -> dict[str, Any]:
    steps_per_epoch = len(splits.train)
    total_steps = config.epochs * steps_per_epoch
    num_classes = len(splits.facts.class_names)
    state = TrainingState(model, config, steps_per_epoch)
    checkpoint, notice = run.load_checkpoint()
    if checkpoint:
        _restore(state, checkpoint, splits.facts, run)
    rows = run.keep_metrics(checkpoint)
    keep_recordings(run, state.step)
    watch = TrainingWatch(model, state, splits, run)
    if checkpoint and "watch" in checkpoint.state:
        watch.load_state_dict(checkpoint.state["watch"])
    keeper = Keeper(run, state, watch, splits.facts, rows, checkpoint, checkpoint_minutes)
    progress = Progress(config.epochs, steps_per_epoch * config.batch_size, state.step / steps_per_epoch)
    run.say = progress.say
    take_step = TrainingStep(model, state, progress.say)
    smaller = SmallerBatches(progress.say)
    if notice:
        progress.say(notice)
    profiler = StepProfiler(run, state.step, steps_per_epoch, progress.say) if profile else None

    with quiet_overflow(), progress, profiler or nullcontext(), closing(take_step), keeper.kept_if_stopped():
        for epoch in range(state.epoch, config.epochs):
            so_far = state.so_far
            figures = so_far.figures
            start = time.perf_counter() - so_far.seconds
            model.train()
            batches = splits.train.epoch(epoch, so_far.step)
            for step_of_epoch, (images, labels) in enumerate(batches, so_far.step):
                watch.before_step(figures)
                state.optimizer.lr_factor = state.schedule(state.step, total_steps)
                if gradients:
                    gradients.before_step(take_step, images, labels, epoch, step_of_epoch)
                taken = take_or_advise(take_step, images, labels, epoch, step_of_epoch)
                if not taken.moved:
                    take_step.seed_dropouts(epoch, step_of_epoch)
                    where = find_first_nonfinite(model, images, labels, config.aux_weight)
                    raise _diverged(taken.fault, where, state, keeper)
                add_counts(figures, len(labels), taken.counts)
                state.step += 1
                so_far.step += 1
                progress.after_step(epoch, len(labels), figures)
                for finding in watch.after_step():
                    progress.say(str(finding))
                if profiler:
                    profiler.after_step()
                so_far.seconds = time.perf_counter() - start
                keeper.after_step()
                stop.check()

            with state.final_weights():
                val = evaluate(model, stop.between(splits.val.epoch(0)), heads=config.aux, smaller=smaller)
            if not math.isfinite(val["main"].loss):
                where = "after the last step of the epoch"
                what = f"the validation loss became {val['main'].loss}"
                raise _diverged(what, where, state, keeper)
            if isinstance(state.schedule, optim.Plateau):
                state.schedule.observe(val["main"].loss)
            state.epoch, state.so_far = epoch + 1, EpochSoFar()
            findings = watch.after_epoch(figures, val)

            row = {
                "epoch": state.epoch,
                "step": state.step,
                "lr": config.lr * state.optimizer.lr_factor,
                **figures_of_heads("train", figures),
                **figures_of_heads("val", val),
                "val_top5": val["main"].top5,
                "seconds": round(time.perf_counter() - start, 3),
                "images_per_second": round(figures["main"].images / so_far.seconds, 1),
            }
            rows.append(row)
            run.append_metrics(row)
            keeper.save()
            rates = rates_so_far(state.schedule, config.lr, state.step, steps_per_epoch, total_steps)
            _draw(run, rows, config, num_classes, rates)
            if gradients:
                gradients.draw(describe(config))
            progress.after_epoch(row)
            for finding in findings:
                progress.say(str(finding))
        if summary := watch.summary():
            progress.say(summary)

        with state.final_weights():
            test = evaluate(model, stop.between(splits.test.epoch(0)), heads=False, smaller=smaller)
    result = {
        "test_accuracy": test["main"].accuracy,
        "test_top5": test["main"].top5,
        "test_loss": test["main"].loss,
        "test_images": test["main"].images,
        "epochs": state.epoch,
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "parameters": model.num_parameters(),
        "seed": config.seed,
    }
    keeper.finish(result)
    return result


def _restore(state: TrainingState, checkpoint: Checkpoint, facts: DataFacts, run: RunFolder) -> None:
    try:
        if not checkpoint.data.agree_with(facts):
            raise CheckpointError("the checkpoint is of another run, on other images than these")
        state.restore(checkpoint)
    except MinicnnError as error:
        raise CheckpointError(f"{run.checkpoint_path}: {error}") from None


def _draw(
    run: RunFolder,
    rows: list[dict[str, Any]],
    config: Config,
    num_classes: int,
    rates: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    path = run.path / CURVES
    run.attempt(CURVES, lambda: draw_curves(rows, path, describe(config), num_classes, rates))


def _diverged(what: str, where: str, state: TrainingState, keeper: Keeper) -> NonFiniteLossError:
    rate = state.config.lr * state.optimizer.lr_factor
    seen = keeper.watch.so_far()
    advice = keeper.watch.after_divergence(where, rate)
    kept = (
        f"the last good checkpoint is {keeper.run.checkpoint_path} ({keeper.kept})"
        if keeper.kept
        else "no epoch was completed, so there is no checkpoint"
    )
    return NonFiniteLossError(
        f"{what} at step {state.step + 1} in epoch {state.epoch + 1}, at a learning rate "
        f"of {rate:.3g} ({where}): training has diverged; {kept}; to start again, {advice}"
        + (f"; before that: {seen}" if seen else "")
    )
