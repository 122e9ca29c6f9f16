"""Max pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from minicnn.op_cases import CASES, Sample
from minicnn.shapes import Window
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict, Trial
from minicnn.study.exercises.tasks.placement import (
    KERNEL_EXCHANGED,
    NO_OFFSET,
    SHARED,
    Misplacement,
    without_last_windows,
)
from minicnn.study.exercises.tasks.windows import (
    cropped,
    geometry,
    of_learner,
    spread,
    window_features,
    wrongly_cropped,
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


def overwritten(trial: Trial, name: str) -> np.ndarray:
    """Predict gx if all of equal pixels receive it, and a window overwrites what the one before it gave."""
    w = window_of(trial.sample)
    pixels = patches(trial.sample.inputs[0], w, -np.inf)
    won = pixels == pixels.max(axis=-1, keepdims=True)
    shape = trial.sample.inputs[0].shape
    padded = spread(lambda i, j: trial.gy * won[..., i * w.KW + j], w, shape, "last window")
    return cropped(padded, w)


def largest(trial: Trial) -> np.ndarray:
    """Maximum of each window: y."""
    return np.asarray(patches(trial.sample.inputs[0], window_of(trial.sample), -np.inf).max(axis=-1))


def searched(trial: Trial, misplacement: Misplacement) -> np.ndarray:
    """Predict gx if the largest pixel is looked for elsewhere, and the gradient goes there."""
    x, gx = trial.sample.inputs[0], np.zeros(trial.sample.inputs[0].shape)
    best = np.full(trial.gy.shape, -np.inf)
    where = np.full((*trial.gy.shape, 2), -1)
    for p, q, _, _, pixel in misplacement.elements(window_of(trial.sample)):
        values = x[(slice(None), *pixel)]
        better = values > best[:, p, q]
        best[:, p, q][better] = values[better]
        where[:, p, q][better] = pixel
    for n, p, q, c in np.argwhere(where[..., 0] >= 0):
        gx[n, where[n, p, q, c, 0], where[n, p, q, c, 1], c] += trial.gy[n, p, q, c]
    return gx


def scattered(origin: Callable[[Window, int, int], tuple[int, int]]) -> Predict:
    """Predict gx if a place within the real pixels of window (p, q) is counted from `origin(w, p, q)`."""

    def predict(trial: Trial, name: str) -> np.ndarray | None:
        x, w = trial.sample.inputs[0], window_of(trial.sample)
        gx = np.zeros(x.shape)
        for n, p, q, c in np.ndindex(trial.gy.shape):
            row, column = p * w.SH - w.top, q * w.SW - w.left
            patch = x[n, max(row, 0) : row + w.KH, max(column, 0) : column + w.KW, c]
            place = np.unravel_index(patch.argmax(), patch.shape)
            row, column = np.add(place, origin(w, p, q))
            if not (-w.H <= row < w.H and -w.W <= column < w.W):
                return None  # an IndexError
            gx[n, row, column, c] += trial.gy[n, p, q, c]
        return gx

    return predict


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
        Mistake(
            "two mistakes",
            "of equal pixels every one receives the gradient, and a window overwrites what others gave",
            "only the first of equals wins; and add (+=), for a pixel in several windows is a fan-out",
            overwritten,
        ),
        *wrongly_cropped(pooled_gradient, window_of),
        *(misplacement.mistake(searched) for misplacement in (*SHARED, KERNEL_EXCHANGED, NO_OFFSET)),
        without_last_windows(window_of),
        Mistake(
            "place in the window instead of in the image",
            "the gradient goes to (i, j), the place of the maximum within its window",
            "add where the window begins: argmax counts from its first pixel",
            scattered(lambda w, p, q: (0, 0)),
        ),
        Mistake(
            "place in a window that was cut off",
            "the maximum of a window that begins in the padding is counted from the window's first pixel",
            "if you cut the patch off at max(p*SH - top, 0), its pixel (0, 0) is there, not at p*SH - top",
            scattered(lambda w, p, q: (p * w.SH - w.top, q * w.SW - w.left)),
        ),
        Mistake(
            "search that begins with 0", "windows without a positive pixel send nothing back",
            "a maximum may be negative: let the search begin with -np.inf",
            lambda trial, name: trial.own(name, gy=trial.gy * (largest(trial) > 0)),
        ),
        Mistake(
            "smallest instead of largest", "the gradient goes to the smallest pixel of each window",
            "y is the maximum: argmax, or a comparison with >",
            lambda trial, name: trial.own(name, inputs=[-trial.sample.inputs[0]]),
        ),
        Mistake(
            "value instead of slope", "your gx is multiplied by the maximum itself",
            "y is the winner, so dy/dx is 1 for it, however large it is",
            lambda trial, name: trial.own(name, gy=trial.gy * largest(trial)),
        ),
    ),
    window_features(window_of),
)  # fmt: skip
