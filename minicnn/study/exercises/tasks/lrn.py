"""Local response normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minicnn.op_cases import CASES
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict, Trial


def lrn_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a sample, defaults included."""
    return {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0, **settings}


def energy(x: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """U = k + alpha / size * sum of x^2 over the window, which forward saves."""
    s = lrn_settings(settings)
    u = s["k"] + s["alpha"] / s["size"] * (x**2 @ band(x.shape[-1], s["size"]))
    return np.asarray(u, x.dtype)


def band(channels: int, size: int) -> np.ndarray:
    """B[d, c] = 1 where channel d lies in the window of channel c."""
    offset = np.arange(channels)[:, None] - np.arange(channels)
    return ((offset >= -(size // 2)) & (offset <= (size - 1) // 2)).astype(np.float64)


def lrn_terms(factor: Callable[[dict[str, Any]], float]) -> Predict:
    """Predict gx if the term that goes through the windows is `factor(settings)` times the right one."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        direct = (
            trial.gy
            * energy(trial.sample.inputs[0], trial.sample.settings)
            ** -lrn_settings(trial.sample.settings)["beta"]
        )
        return direct + factor(lrn_settings(trial.sample.settings)) * (trial.right[name] - direct)

    return predict


def lrn_through(window: Callable[[np.ndarray], np.ndarray]) -> Predict:
    """Predict gx if the gradient goes back through `window(band)` instead of the transposed band."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        x = trial.sample.inputs[0]
        u = energy(x, trial.sample.settings)
        s = lrn_settings(trial.sample.settings)
        direct = trial.gy * u ** -s["beta"]
        through = (direct * x / u) @ window(band(x.shape[-1], s["size"]))
        return direct - 2 * s["alpha"] * s["beta"] / s["size"] * x * through

    return predict


EXERCISE = Exercise(
    "lrn", "local response normalisation: every channel is in its neighbours' windows", 3,
    CASES["local_response_norm"],
    ("x", "u", "size", "alpha", "beta"),
    lambda inputs, settings, y: (
        inputs[0], energy(inputs[0], settings),
        *(lrn_settings(settings)[name] for name in ("size", "alpha", "beta")),
    ),
    ("gx",),
    "minicnn/ops/lrn.py", "docs/ops/local_response_norm.md",
    (
        Mistake(
            "missing term",
            "only the direct path is there: x also stands in u, of its own channel and others",
            "y_c depends on x_c twice, and on x_d for every d in the window of c: two terms",
            lrn_terms(lambda s: 0),
        ),
        Mistake(
            "wrong sign", "the term that goes through the windows has the wrong sign",
            "y = x * u^-beta falls when u grows: d(u^-beta)/du = -beta * u^(-beta-1)",
            lrn_terms(lambda s: -1),
        ),
        Mistake(
            "wrong scale", "the term that goes through the windows is half of what it should be",
            "d(x^2)/dx = 2x",
            lrn_terms(lambda s: 0.5),
        ),
        Mistake(
            "wrong scale", "the term that goes through the windows lacks beta",
            "d(u^-beta)/du = -beta * u^(-beta-1)",
            lrn_terms(lambda s: 1 / s["beta"]),
        ),
        Mistake(
            "wrong scale", "the term through the windows is `size` times too large: alpha / size, not alpha",
            "minicnn, Caffe and PyTorch divide alpha by the size of the window; the AlexNet paper does not",
            lrn_terms(lambda s: s["size"]),
        ),
        Mistake(
            "missing transpose", "the window is not turned round: right for odd sizes, wrong for even ones",
            "d lies in the windows of all c from d - (size-1)//2 to d + size//2: the band transposed",
            lrn_through(lambda B: B),
        ),
        Mistake(
            "missing sum at a fan-out",
            "only the own channel is there: x_d is in the windows of its neighbours",
            "sum over all channels c whose window contains d",
            lrn_through(lambda B: np.eye(len(B))),
        ),
    ),
    {
        "the size is even": lambda sample: lrn_settings(sample.settings)["size"] % 2 == 0,
        "the window has more than one channel":
            lambda sample: min(lrn_settings(sample.settings)["size"], sample.inputs[0].shape[-1]) > 1,
    },
)  # fmt: skip
