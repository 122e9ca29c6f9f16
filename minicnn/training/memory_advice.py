"""A step that does not fit into the memory of a GPU, and which batch size would: found out by trying."""

from __future__ import annotations

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.cuda.memory import available_bytes, explained, peak_bytes
from minicnn.errors import DeviceMemoryError
from minicnn.nn import Module, in_mode, total_loss
from minicnn.tensor import Tensor, no_grad
from minicnn.training.step import StepResult, TrainingStep

EXTRA_COPIES = 3  # of the weights' size: velocities, the gradients of the step before, clipped gradients
SPARE = 0.9  # of what is free is planned with: large blocks do not always fit side by side


def take_or_advise(
    take_step: TrainingStep, images: Array, labels: Array, epoch: int, step_of_epoch: int
) -> StepResult:
    """Take a step; if the GPU has no room for it, find out for how many images it has."""
    try:
        return take_step(images, labels, epoch, step_of_epoch)
    except DeviceMemoryError as error:
        problem = str(error)
    except MemoryError as error:  # outside of the ops
        if not isinstance(better := explained(error, "a training step"), DeviceMemoryError):
            raise
        problem = str(better)
    # Out here the error, and with it all that its step had in memory, is gone.
    take_step.close()
    fits = batch_that_fits(take_step.model, images.shape[1:], len(images))
    advice = f"--batch-size {fits} would fit" if fits else "not even a batch of one image fits"
    raise DeviceMemoryError(f"{problem}, in a step of {len(images)} images; {advice}")


def batch_that_fits(model: Module, image_shape: tuple[int, ...], batch_size: int) -> int | None:
    """Return how many images, fewer than those that did not fit, a training step has room for; None: not one.

    Steps and evaluations are run on two small batches: memory grows with the batch in a straight line.

    Parameters
    ----------
    model : Module
        On a GPU, whose gradients are forgotten.
    image_shape : tuple of int
        (H, W, C).
    batch_size : int
        What did not fit.
    """
    model.zero_grad()
    weights = model.parameters()
    xp = array_module(weights[0].data)

    def step(images: int) -> None:
        x = xp.zeros((images, *image_shape), weights[0].dtype)
        total_loss(model(Tensor(x)), np.zeros(images, np.int64)).backward()
        model.zero_grad()

    def evaluation(images: int) -> None:
        with in_mode(model, training=False), no_grad():
            model(Tensor(xp.zeros((images, *image_shape), weights[0].dtype)))

    def needed(images: int) -> int:
        """A recorded step keeps its memory while the network is evaluated between epochs."""
        return peak_bytes(lambda: step(images)) + peak_bytes(lambda: evaluation(images))

    small = max(2, batch_size // 32)  # a single image goes another way through some ops
    try:
        step(1)  # what is made once, such as cuBLAS's workspace, does not count
        one, two = needed(small), needed(2 * small)
    except (DeviceMemoryError, MemoryError):
        return None
    per_image = max(1, (two - one) // small)
    fixed = max(0, one - small * per_image) + EXTRA_COPIES * sum(p.data.nbytes for p in weights)
    fits = int((SPARE * available_bytes() - fixed) // per_image)
    return min(fits, batch_size - 1) if fits >= 1 else None
