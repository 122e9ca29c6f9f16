"""What each branch of an inception module adds to the score of a class, image by image.

The score is that of the right class above the mean of all classes, S = logit_c - mean of the logits, because
the same number added to every logit changes no probability. A branch gives activations A, (N, H, W, CB), and
Ā is their mean over images and places, a number for each channel. What if the branch said Ā, the same
for every image? The score would change by

    silencing                    S(A) - S(Ā)                         the network is run again
    gradient times activation    Σ_hwc ∂S/∂A_hwc (A_hwc - Ā_c)       the same to first order

The second needs one walk for all branches of all modules; the first is exact, and needs a run for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minicnn.backend import Array
from minicnn.errors import ShapeError, UsageError
from minicnn.nn import Conv2d, Inception, Module, in_mode
from minicnn.study.looking.class_score import run
from minicnn.study.module_outputs import ModuleOutputs
from minicnn.tensor import Tensor, no_grad

BRANCHES = ("conv1x1", "conv3x3", "conv5x5", "pool_proj")  # the last layer of each, in order of concatenation
BATCH_SIZE = 250

Scores = dict[str, npt.NDArray[np.float64]]


class BranchScores(NamedTuple):
    """What `branch_scores` found; both in logits, by path of the module.

    Attributes
    ----------
    gradient : dict of str to float64 array of shape (N, 4)
        Gradient times activation; the branches in the order of `BRANCHES`.
    silenced : dict of str to float64 array of shape (N, 4)
        By how much the score falls when the branch is silenced.
    """

    gradient: Scores
    silenced: Scores


def branch_scores(model: Module, x: Array, labels: npt.NDArray[np.integer]) -> BranchScores:
    """Measure what each branch of each inception module adds to the score of the right class.

    Parameters
    ----------
    model : Module
        Returns logits (N, classes), or something that has them as `.logits`; its inception modules have
        ReLUs. It runs in evaluation mode, on the CPU, and is left as it was.
    x : array of shape (N, H, W, C)
        Images as the model takes them.
    labels : integer array of shape (N,)
        The right classes.

    Returns
    -------
    BranchScores

    Raises
    ------
    UsageError
        If there is no inception module, or one with another activation.
    ShapeError
        If there is not one label for each image.

    Examples
    --------
    >>> from minicnn import models
    >>> model = models.googlenet_cifar(width=0.05, rng=np.random.default_rng(0))
    >>> x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    >>> scores = branch_scores(model, x, np.array([3, 7]))
    >>> list(scores.gradient)[:2], scores.gradient["inception3a"].shape
    (['inception3a', 'inception3b'], (2, 4))
    """
    modules = {path: module for path, module in model.named_modules() if isinstance(module, Inception)}
    if not modules:
        raise UsageError("branch_scores: model: there is no inception module in it")
    for path, module in modules.items():
        if module.activation != "relu":
            raise UsageError(f"branch_scores: {path}: expected ReLUs in it, got {module.activation}")
    if np.shape(labels) != (len(x),):
        raise ShapeError(f"branch_scores: labels: expected shape ({len(x)},), got {np.shape(labels)}")
    branches = {
        f"{path}.{name}": getattr(module, name) for path, module in modules.items() for name in BRANCHES
    }
    means, gradient = _gradient_times_activation(model, x, labels, list(branches))
    score = _score(model, x, labels)
    silenced = {}
    for path, branch in branches.items():
        with _silenced(branch, means[path]):
            silenced[path] = score - _score(model, x, labels)
    return BranchScores(
        *({path: np.stack([of[f"{path}.{name}"] for name in BRANCHES], axis=1) for path in modules}
          for of in (gradient, silenced))
    )  # fmt: skip


def _gradient_times_activation(
    model: Module, x: Array, labels: npt.NDArray[np.integer], paths: list[str]
) -> tuple[Scores, Scores]:
    """Return by branch the mean activation of each channel, (CB,), and the contributions, (N,)."""
    activation: dict[str, list[Any]] = {path: [] for path in paths}  # Σ_hw A, (N, CB)
    gradient: dict[str, list[Any]] = {path: [] for path in paths}  # Σ_hw ∂S/∂A
    product: dict[str, list[Any]] = {path: [] for path in paths}  # Σ_hw ∂S/∂A A
    places = {}
    for batch in _batches(len(x)):
        recorder = ModuleOutputs(model)
        _, logits = run("branch_scores", model, x[batch], recorder)
        for path in paths:
            recorder.outputs[path].retain_grad()
        logits.backward(_score_gradient(labels[batch], logits.shape[1], logits.dtype))
        for path in paths:
            output = recorder.outputs[path]
            A, gA = output.data.astype(np.float64), np.asarray(output.grad, np.float64)
            places[path] = A.shape[1] * A.shape[2]
            activation[path].append(A.sum(axis=(1, 2)))
            gradient[path].append(gA.sum(axis=(1, 2)))
            product[path].append((gA * A).sum(axis=(1, 2)))
    means, contributions = {}, {}
    for path in paths:
        means[path] = np.concatenate(activation[path]).mean(axis=0) / places[path]
        difference = np.concatenate(product[path]) - np.concatenate(gradient[path]) * means[path]
        contributions[path] = difference.sum(axis=1)
    return means, contributions


def _score(model: Module, x: Array, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    scores = []
    with in_mode(model, training=False), no_grad():
        for batch in _batches(len(x)):
            out: Any = model(Tensor(x[batch]))
            logits = getattr(out, "logits", out).numpy().astype(np.float64)
            right = logits[np.arange(len(logits)), labels[batch]]
            scores.append(right - logits.mean(axis=1))
    return np.concatenate(scores)


def _score_gradient(labels: npt.NDArray[np.integer], classes: int, dtype: Any) -> Array:
    """∂S/∂logits: (N, classes)."""
    gradient = np.full((len(labels), classes), -1 / classes, dtype)
    gradient[np.arange(len(labels)), labels] += 1
    return gradient


def _batches(n: int) -> Iterator[slice]:
    return (slice(start, start + BATCH_SIZE) for start in range(0, n, BATCH_SIZE))


@contextmanager
def _silenced(branch: Conv2d, says: npt.NDArray[np.float64]) -> Iterator[None]:
    """Inside the block the branch gives `says`, (CB,), at every place of every image."""
    weight, bias = branch.weight, branch.bias
    assert bias is not None  # the convolutions of an inception module have one
    before = weight.data, bias.data
    weight.data = np.zeros_like(weight.data)
    bias.data = says.astype(bias.dtype)  # not negative, so the ReLU lets it pass
    try:
        yield
    finally:
        weight.data, bias.data = before
