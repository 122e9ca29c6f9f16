"""Average pooling."""

from __future__ import annotations

from functools import partial

import numpy as np

from minicnn.op_cases import CASES, Sample
from minicnn.shapes import Window
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial
from minicnn.study.exercises.tasks.windows import (
    LAST,
    Kept,
    cropped,
    forgotten_padding,
    geometry,
    of_learner,
    spread,
    window_features,
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
        *forgotten_padding(padded_gradient),
    ),
    {
        **window_features(window_of),
        "a window counts fewer places than the kernel has":
            lambda sample: bool((share_of_kernel(sample) < 1).any()),
    },
)  # fmt: skip
