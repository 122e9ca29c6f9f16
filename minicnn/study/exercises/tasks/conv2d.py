"""Convolution by im2col."""

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
    cut_from_the_corner,
    geometry,
    of_learner,
    spread,
    window_features,
)


def window_of(sample: Sample) -> Window:
    """Return the window of a sample."""
    x, w = sample.inputs[:2]
    return geometry(x.shape, w.shape[:2], {"stride": 1, **sample.settings})


def padded_gradient(trial: Trial, kept: Kept = "sum") -> np.ndarray:
    """Gradient of the padded image: (N, PH, PW, CI)."""
    x, w = trial.sample.inputs[:2]
    return spread(lambda i, j: trial.gy @ w[i, j].T, window_of(trial.sample), x.shape, kept)


def without_padding(trial: Trial, name: str) -> np.ndarray | None:
    """Gradient of the filters if forward's padding is forgotten, where the sizes let one forget it."""
    x, w = trial.sample.inputs[:2]
    g = window_of(trial.sample)
    moved = np.zeros((len(x), g.PH, g.PW, x.shape[3]))
    moved[:, : g.H, : g.W] = x
    stride = trial.sample.settings.get("stride", 1)
    return trial.own(name, inputs=[moved, *trial.sample.inputs[1:]], padding=0, stride=stride)


def overwritten(trial: Trial, name: str, kept: Kept) -> np.ndarray:
    """Predict gx if a pixel keeps what it was given last."""
    return cropped(padded_gradient(trial, kept), window_of(trial.sample))


EXERCISE = Exercise(
    "conv2d", "convolution by im2col: three products, and overlapping patches added up", 3, CASES["conv2d"],
    ("x", "w", "stride", "padding"),
    lambda inputs, settings, y: (
        inputs[0], inputs[1],
        *of_learner(geometry(inputs[0].shape, inputs[1].shape[:2], {"stride": 1, **settings}))[1:],
    ),
    ("gx", "gw", "gb"),
    "minicnn/ops/conv.py", "docs/ops/conv2d.md",
    (
        Mistake(
            "forgotten padding", "your gx is the gradient of the padded image: the padding has to be cut off",
            "forward put x in the middle of zeros; cut the same rectangle, from top and left, out of gx",
            lambda trial, name: padded_gradient(trial), ("gx",),
        ),
        Mistake(
            "forgotten padding", "gx is cut out of the padded gradient at the wrong place: its first corner",
            "the image begins at row `top` and column `left` of the padded one",
            lambda trial, name: cut_from_the_corner(trial, padded_gradient(trial)), ("gx",),
        ),
        *(
            Mistake(
                "missing sum where patches overlap", "a pixel keeps the gradient of the last patch it was in",
                "a pixel was copied into several patches, a fan-out: add (+=) what comes back from each",
                partial(overwritten, kept=kept), ("gx",),
            )
            for kept in LAST
        ),
        Mistake(
            "kernel turned round", "your gx is that of a kernel turned by 180 degrees",
            "what forward took from pixel p*SH + i with w[i], backward gives back to it with w[i]",
            lambda trial, name: trial.own(
                name,
                inputs=[trial.sample.inputs[0], trial.sample.inputs[1][::-1, ::-1], *trial.sample.inputs[2:]],
            ),
            ("gx",),
        ),
        Mistake(
            "kernel turned round", "your gw is turned by 180 degrees",
            "gw[i, j] collects gy times the pixel that w[i, j] met",
            lambda trial, name: trial.right[name][::-1, ::-1], ("gw",),
        ),
        Mistake(
            "forgotten padding", "your gw meets the image as if it were padded at the bottom and right only",
            "the patches are those of the padded image, with x from row `top` and column `left` on",
            without_padding, ("gw",),
        ),
        Mistake(
            "missing sum over images and pixels", "your gb is not summed over all places that b was added to",
            "b[o] was added at every n, p, q: sum over these three axes",
            lambda trial, name: trial.gy.sum(axis=0), ("gb",),
        ),
        Mistake(
            "mean instead of sum", "your gb is a mean over images and pixels; it has to be the sum",
            "b[o] was added at every n, p, q, so all of their contributions are summed",
            lambda trial, name: trial.gy.mean(axis=(0, 1, 2)), ("gb",),
        ),
    ),
    {
        **window_features(window_of),
        "there is a bias": lambda sample: len(sample.inputs) == 3,
        "the kernel is larger than 1x1": lambda sample: sample.inputs[1].shape[:2] != (1, 1),
    },
    {"gx": "nhwc", "gw": "ijco", "gb": "o"},
    takes=lambda sample: sample.settings.get("groups", 1) == 1,
)  # fmt: skip
