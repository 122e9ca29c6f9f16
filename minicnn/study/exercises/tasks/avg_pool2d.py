"""Average pooling."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from minicnn.op_cases import CASES, Sample
from minicnn.shapes import Window
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict, Trial
from minicnn.study.exercises.tasks.placement import (
    NO_STRIDE,
    SHARED,
    Misplacement,
    placed,
    without_last_windows,
)
from minicnn.study.exercises.tasks.windows import (
    LAST,
    Kept,
    cropped,
    geometry,
    of_learner,
    spread,
    window_features,
    wrongly_cropped,
)


def window_of(sample: Sample) -> Window:
    """Return the window of a sample."""
    return geometry(sample.inputs[0].shape, sample.settings["kernel_size"], sample.settings)


def count_of(sample: Sample) -> np.ndarray:
    """How many places of each window count: (OH, OW)."""
    w = window_of(sample)
    real = np.zeros((1, w.PH, w.PW, 1))
    if sample.settings.get("count_include_pad", True):
        real[:, : w.PH - w.extra_bottom, : w.PW - w.extra_right] = 1
    else:
        real[(slice(None), *w.image)] = 1
    taps = [real[(slice(None), *w.taps(i, j))] for i, j in np.ndindex(w.KH, w.KW)]
    return np.sum(taps, axis=0)[0, :, :, 0]


def padded_gradient(trial: Trial, kept: Kept = "sum") -> np.ndarray:
    """Gradient of the padded image: (N, PH, PW, C)."""
    share = trial.gy / count_of(trial.sample)[:, :, None]
    return spread(lambda i, j: share, window_of(trial.sample), trial.sample.inputs[0].shape, kept)


def share_of_kernel(sample: Sample) -> np.ndarray:
    """How large a part of each window counts: (OH, OW, 1)."""
    w = window_of(sample)
    return count_of(sample)[:, :, None] / (w.KH * w.KW)


def overwritten(trial: Trial, name: str, kept: Kept) -> np.ndarray:
    """Predict gx if a pixel keeps what it was given last."""
    return cropped(padded_gradient(trial, kept), window_of(trial.sample))


def misplaced(trial: Trial, misplacement: Misplacement) -> np.ndarray:
    """Predict gx if the windows lie elsewhere."""
    share = trial.gy / count_of(trial.sample)[:, :, None]
    return placed(lambda i, j: share, window_of(trial.sample), trial.sample.inputs[0].shape, misplacement)


def undivided(predict: Predict) -> Predict:
    """Predict gx if besides every pixel receives all of gy."""

    def predicted(trial: Trial, name: str) -> np.ndarray | None:
        whole = trial.gy * count_of(trial.sample)[:, :, None]
        return predict(replace(trial, gy=whole), name)

    return predicted


def below_zero(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if slices of the image begin where the window does, even if that is in the padding."""
    w, gx = window_of(trial.sample), np.zeros(trial.sample.inputs[0].shape)
    share = trial.gy / count_of(trial.sample)[:, :, None]
    for p, q in np.ndindex(w.OH, w.OW):
        row, column = p * w.SH - w.top, q * w.SW - w.left
        gx[:, row : row + w.KH, column : column + w.KW] += share[:, p : p + 1, q : q + 1]
    return gx


def without_axes(trial: Trial, name: str) -> np.ndarray | None:
    """Predict gx if what is added to a window has the shape (N, C), where NumPy finds a way to do that."""
    w, x_shape = window_of(trial.sample), trial.sample.inputs[0].shape
    padded = np.zeros((x_shape[0], w.PH, w.PW, x_shape[3]))
    share = trial.gy / count_of(trial.sample)[:, :, None]
    if x_shape[0] not in (1, w.KW):
        return None
    for p, q in np.ndindex(w.OH, w.OW):
        padded[:, p * w.SH : p * w.SH + w.KH, q * w.SW : q * w.SW + w.KW] += share[:, p, q]
    return cropped(padded, w)


EXERCISE = Exercise(
    "avg_pool2d", "average pooling: every pixel of a window receives its share", 2, CASES["avg_pool2d"],
    ("x_shape", "count", "kernel_size", "stride", "padding"),
    lambda inputs, settings, y: (
        inputs[0].shape, count_of(Sample("", tuple(inputs), dict(settings))).astype(y.dtype),
        *of_learner(geometry(inputs[0].shape, settings["kernel_size"], settings)),
    ),
    ("gx",),
    "minicnn/ops/avg_pool.py", "docs/ops/avg_pool2d.md",
    (
        Mistake(
            "wrong scale", "every pixel receives all of gy: divide by how many pixels the mean is of",
            "y = sum / count, so each pixel of the window receives gy / count",
            lambda trial, name: trial.own(name, gy=trial.gy * count_of(trial.sample)[:, :, None]),
        ),
        Mistake(
            "wrong scale", "you divide by KH*KW everywhere: at the border fewer places may count",
            "use `count`, which knows the border: gy / count[:, :, None]",
            lambda trial, name: trial.own(name, gy=trial.gy * share_of_kernel(trial.sample)),
        ),
        *(
            Mistake(
                "missing sum where windows overlap",
                "a pixel in several windows keeps the share of the last one",
                "a pixel in several windows is a fan-out: add (+=) its share of each",
                partial(overwritten, kept=kept),
            )
            for kept in LAST
        ),
        *(
            Mistake(
                "two mistakes",
                "every pixel receives all of gy, and one in several windows keeps what the last one gave",
                "divide gy by the count of its window, and add (+=) the share of each window",
                undivided(partial(overwritten, kept=kept)),
            )
            for kept in LAST
        ),
        Mistake(
            "two mistakes", "every pixel receives all of gy, and the stride is forgotten",
            "divide gy by the count of its window, which begins at row p*SH - top, column q*SW - left",
            undivided(lambda trial, name: misplaced(trial, NO_STRIDE)), ("gx",),
        ),
        *wrongly_cropped(padded_gradient, window_of),
        *(misplacement.mistake(misplaced) for misplacement in SHARED),
        without_last_windows(window_of),
        Mistake(
            "a slice that begins below 0",
            "windows that begin in the padding are lost: a slice from -1 on begins at the last row",
            "rows max(p*SH - top, 0) to p*SH - top + KH; and so for the columns",
            below_zero, ("gx",),
        ),
        Mistake(
            "an axis that is missing",
            "gy[:, p, q] is (N, C), which NumPy puts along the columns and channels of the window",
            "gy[:, p : p + 1, q : q + 1] keeps the two axes, with size 1",
            without_axes, ("gx",),
        ),
    ),
    {
        **window_features(window_of),
        "a window counts fewer places than the kernel has":
            lambda sample: bool((share_of_kernel(sample) < 1).any()),
    },
)  # fmt: skip
