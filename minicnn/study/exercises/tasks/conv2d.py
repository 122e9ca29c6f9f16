"""Convolution by im2col."""

from __future__ import annotations

from functools import partial

import numpy as np

from minicnn.op_cases import CASES, Sample
from minicnn.shapes import Window
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial
from minicnn.study.exercises.tasks.placement import NO_STRIDE, SHARED, Misplacement, placed
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

# Of the gradient of cols, taken apart; and what it is taken for.
AXES = ("N", "OH", "OW", "KH", "KW", "CI")
OTHER_ORDERS = (
    ("N", "OH", "OW", "CI", "KH", "KW"),
    ("N", "OH", "OW", "KW", "KH", "CI"),
    ("N", "OW", "OH", "KH", "KW", "CI"),
    ("KH", "KW", "N", "OH", "OW", "CI"),
    ("KH", "KW", "CI", "N", "OH", "OW"),
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


def misplaced(trial: Trial, misplacement: Misplacement, add: bool = True) -> np.ndarray:
    """Predict gx if the patches lie elsewhere, and also if a pixel keeps the last one."""
    x, w = trial.sample.inputs[:2]
    return placed(lambda i, j: trial.gy @ w[i, j].T, window_of(trial.sample), x.shape, misplacement, add)


def added_up(trial: Trial, gcols: np.ndarray) -> np.ndarray:
    """Return gx, given the gradient of cols as (N, OH, OW, KH, KW, CI)."""
    g = window_of(trial.sample)
    return cropped(spread(lambda i, j: gcols[:, :, :, i, j], g, trial.sample.inputs[0].shape), g)


def read_as(trial: Trial, name: str, axes: tuple[str, ...]) -> np.ndarray:
    """Predict gx if gcols is reshaped to these axes."""
    x, w = trial.sample.inputs[:2]
    (N, OH, OW, CO), (KH, KW, CI) = trial.gy.shape, w.shape[:3]
    sizes = dict(zip(AXES, (N, OH, OW, KH, KW, CI), strict=True))
    gcols = trial.gy.reshape(-1, CO) @ w.reshape(-1, CO).T
    read = gcols.reshape([sizes[axis] for axis in axes])
    return added_up(trial, read.transpose([axes.index(axis) for axis in AXES]))


def not_transposed(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if w is reshaped to (CO, KH*KW*CI), instead of transposed."""
    w = trial.sample.inputs[1]
    gcols = trial.gy @ w.reshape(w.shape[3], -1)
    return added_up(trial, gcols.reshape(*trial.gy.shape[:3], *w.shape[:3]))


def channels_first(trial: Trial, name: str) -> np.ndarray:
    """Predict gw if the rows of its matrix are read as CI, KH, KW."""
    KH, KW, CI, CO = trial.right[name].shape
    return trial.right[name].reshape(CI, KH, KW, CO).transpose(1, 2, 0, 3)


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
        *wrongly_cropped(padded_gradient, window_of),
        *(misplacement.mistake(misplaced) for misplacement in SHARED),
        *(
            Mistake(
                "reshape in the wrong order",
                f"gcols is read as ({', '.join(axes)}): im2col has put its axes in another order",
                "a row of cols holds one patch: N, OH, OW count the rows, KH, KW, CI the columns",
                partial(read_as, axes=axes), ("gx",),
            )
            for axes in OTHER_ORDERS
        ),
        Mistake(
            "missing transpose", "your gcols is gy times w read as (CO, KH*KW*CI): a reshape, no transpose",
            "reshape keeps the order in memory: w.reshape(-1, CO).T",
            not_transposed, ("gx",),
        ),
        Mistake(
            "reshape in the wrong order", "your gw is read as (CI, KH, KW, CO), as other frameworks have it",
            "a row of cols holds one patch in the order KH, KW, CI; so do the rows of w",
            channels_first, ("gw",),
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
            "two mistakes", "the stride is forgotten, and a pixel keeps the gradient of its last patch only",
            "add (+=) what comes back from each patch, from row p*SH and column q*SW of the padded image on",
            lambda trial, name: misplaced(trial, NO_STRIDE, add=False), ("gx",),
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
            "sum along the wrong axis", "your gb is summed over the channels, the axis that has to stay",
            "b[o] was added at every n, p, q: sum over these three axes",
            lambda trial, name: trial.gy.sum(axis=-1), ("gb",),
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
