"""Max pooling."""

from __future__ import annotations

from typing import Literal

import numpy as np

from minicnn.op_cases import CASES, Sample
from minicnn.shapes import Window
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict, Trial
from minicnn.study.exercises.tasks.windows import (
    cropped,
    forgotten_padding,
    geometry,
    of_learner,
    spread,
    window_features,
)

# Which of equal pixels receive the gradient.
Winners = Literal["first", "last", "all", "share"]
NOT_THE_FIRST: tuple[tuple[Winners, str], ...] = (
    ("all", "every one receives the gradient"),
    ("last", "the last receives the gradient"),
    ("share", "each receives a share"),
)


def window_of(sample: Sample) -> Window:
    """Return the window of a sample."""
    return geometry(sample.inputs[0].shape, sample.settings["kernel_size"], sample.settings)


def patches(x: np.ndarray, w: Window, outside: float) -> np.ndarray:
    """Put the pixels of each window side by side: (N, OH, OW, C, KH*KW)."""
    padded = np.full((len(x), w.PH, w.PW, x.shape[3]), outside)
    padded[(slice(None), *w.image)] = x
    return np.stack([padded[(slice(None), *w.taps(i, j))] for i, j in np.ndindex(w.KH, w.KW)], axis=-1)


def pooled_gradient(
    trial: Trial,
    winners: Winners = "first",
    outside: float = -np.inf,
    add: bool = True,
) -> np.ndarray:
    """Gradient of the padded image if `winners` of equal pixels receive it, and padding holds `outside`."""
    x, w = trial.sample.inputs[0], window_of(trial.sample)
    pixels = patches(x, w, outside)
    won = pixels == pixels.max(axis=-1, keepdims=True)
    if winners in ("first", "last"):
        places = won.argmax(-1) if winners == "first" else won.shape[-1] - 1 - won[..., ::-1].argmax(-1)
        won = np.arange(won.shape[-1]) == places[..., None]
    shares = won / (won.sum(axis=-1, keepdims=True) if winners == "share" else 1)
    if add:
        return spread(lambda i, j: trial.gy * shares[..., i * w.KW + j], w, x.shape)
    padded = np.zeros((len(x), w.PH, w.PW, x.shape[3]))
    for n, p, q, c in np.ndindex(trial.gy.shape):
        i, j = divmod(int(shares[n, p, q, c].argmax()), w.KW)
        padded[n, p * w.SH + i, q * w.SW + j, c] = trial.gy[n, p, q, c]
    return padded


def to(winners: Winners) -> Predict:
    """Predict gx if of equal pixels these receive the gradient."""
    return lambda trial, name: cropped(pooled_gradient(trial, winners), window_of(trial.sample))


def both(winners: Winners) -> Predict:
    """Predict gx if, besides, the padding holds zeros."""
    return lambda trial, name: cropped(pooled_gradient(trial, winners, outside=0.0), window_of(trial.sample))


EXERCISE = Exercise(
    "max_pool2d", "max pooling: to the winner of each window, and with ties to the first", 2,
    CASES["max_pool2d"],
    ("x", "kernel_size", "stride", "padding"),
    lambda inputs, settings, y: (
        inputs[0], *of_learner(geometry(inputs[0].shape, settings["kernel_size"], settings))
    ),
    ("gx",),
    "minicnn/ops/max_pool.py", "docs/ops/max_pool2d.md",
    (
        Mistake(
            "ties", "of equal pixels every one receives the gradient: too much of it",
            "only one pixel of a window wins; of equals the first, row by row (np.argmax takes the first)",
            to("all"),
        ),
        Mistake(
            "ties", "of equal pixels the last receives the gradient; by convention it is the first",
            "compare with >, not >=, when you look for a larger pixel; np.argmax takes the first",
            to("last"),
        ),
        Mistake(
            "ties", "equal pixels share the gradient; by convention the first one receives it all",
            "take the first maximum, row by row: np.argmax of the window",
            to("share"),
        ),
        Mistake(
            "missing sum where windows overlap", "a pixel that won several windows keeps one gradient only",
            "a pixel in several windows is a fan-out: add (+=) what comes from each window it won",
            lambda trial, name: cropped(pooled_gradient(trial, add=False), window_of(trial.sample)),
        ),
        Mistake(
            "padding wins",
            "where all pixels of a window are negative, your padding of 0 wins: pad with -inf",
            "np.pad(..., constant_values=-np.inf), or look at the real pixels only",
            lambda trial, name: cropped(pooled_gradient(trial, outside=0.0), window_of(trial.sample)),
        ),
        *(
            Mistake(
                "two mistakes",
                f"of equal pixels {who}; and your padding of 0 takes part in the comparison",
                "np.argmax takes the first of equals; pad with -inf, or look at the real pixels only",
                both(winners),
            )
            for winners, who in NOT_THE_FIRST
        ),
        *forgotten_padding(pooled_gradient),
    ),
    window_features(window_of),
)  # fmt: skip
