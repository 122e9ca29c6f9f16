"""The score of a class and the graph behind it: what saliency and Grad-CAM walk back from.

The score of class c is its logit, before the softmax. A probability would also rise when the other logits
fall, and its gradient would mix in what the image shows of all other classes (Simonyan, Vedaldi and
Zisserman 2013 give this reason in their section 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from minicnn.backend import Array, is_array, to_device, to_numpy
from minicnn.errors import DTypeError, ShapeError, UsageError
from minicnn.nn import Module, in_mode
from minicnn.tensor import Observer, Tensor, composed, observed_by

# Of images, one class for all or one each; None means the class the network predicts.
Label = int | Sequence[int] | npt.NDArray[np.integer] | None


def run(op: str, model: Module, x: Tensor | Array, observer: Observer | None = None) -> tuple[Tensor, Tensor]:
    """Run the model in evaluation mode, op by op, and record what depends on the images.

    Nothing is recorded for the parameters: they get no gradient, and the walk is the shorter for it.

    Parameters
    ----------
    op : str
        Whom errors name.
    model : Module
        Returns logits (N, classes), or something that has them as `.logits`.
    x : Tensor or array of shape (N, H, W, C)
        Images as the model takes them.
    observer : Observer, optional
        Looks on.

    Returns
    -------
    images, logits : Tensor
        `images` shares the values of `x` and waits for a gradient of its own.
    """
    data = x.data if isinstance(x, Tensor) else x
    if not is_array(data) or data.dtype.kind != "f":
        got = f"dtype {data.dtype}" if is_array(data) else type(data).__name__
        raise DTypeError(f"{op}: x: expected a Tensor or an array of floating-point numbers, got {got}")
    if data.ndim != 4 or data.size == 0:
        raise ShapeError(f"{op}: x: expected images of shape (N, H, W, C), got {tuple(data.shape)}")
    images = Tensor(data, requires_grad=True)
    with _only_looking(model), composed(), observed_by(observer) if observer else nullcontext():
        out: Any = model(images)
    logits = getattr(out, "logits", out)
    if not isinstance(logits, Tensor):
        raise DTypeError(
            f"{op}: model: expected it to return logits, or an output that has .logits, "
            f"got {type(out).__name__}"
        )
    if logits.ndim != 2 or len(logits) != len(images):
        raise ShapeError(
            f"{op}: model: expected logits of shape ({len(images)}, classes), got {logits.shape}"
        )
    if not logits.requires_grad:
        raise UsageError(f"{op}: the logits have no recorded link to x (is this called under no_grad?)")
    return images, logits


def walk_back(op: str, logits: Tensor, label: Label) -> None:
    """Compute the gradients of the score of one class of every image.

    Images do not mix in evaluation mode, so one walk from the sum of the scores is a walk from each.
    """
    N, classes = logits.shape
    if label is None:
        label = to_numpy(logits.data).argmax(axis=1)
    labels = np.asarray(label)
    if labels.dtype.kind not in "iu" or labels.shape not in ((), (N,)):
        raise ShapeError(
            f"{op}: label: expected a whole number, or one for each of {N} images, got {label!r}"
        )
    if not ((labels >= 0) & (labels < classes)).all():
        raise UsageError(f"{op}: label: expected classes of 0 to {classes - 1}, got {label!r}")
    one_hot = np.zeros(logits.shape, logits.dtype)
    one_hot[np.arange(N), labels] = 1  # d(sum of the scores) / d(logits)
    logits.backward(to_device(one_hot, logits.device))


@contextmanager
def _only_looking(model: Module) -> Iterator[None]:
    """Evaluation mode, and parameters that want no gradient; afterwards everything is as it was."""
    wishes = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _ in wishes:
            parameter.requires_grad = False
        with in_mode(model, training=False):
            yield
    finally:
        for parameter, wish in wishes:
            parameter.requires_grad = wish
