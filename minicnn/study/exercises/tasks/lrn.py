"""Local response normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from minicnn.op_cases import CASES
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict, Trial

# A factor of gx, given gy, x, u and the settings.
Factor = Callable[[SimpleNamespace], Any]


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


def lrn_with(
    direct: Factor = lambda a: a.gy * a.u**-a.beta,
    through: Factor = lambda a: a.gy * a.x * a.u ** (-a.beta - 1),
    outer: Factor = lambda a: 2 * a.alpha * a.beta / a.size * a.x,
    window: Callable[[np.ndarray, int], np.ndarray] = lambda B, size: B.T,
) -> Predict:
    """Predict gx if one of its factors is another: gx = direct - outer * (through @ window)."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        x, s = trial.sample.inputs[0], lrn_settings(trial.sample.settings)
        a = SimpleNamespace(gy=trial.gy, x=x, u=energy(x, s), **s)
        turned = window(band(x.shape[-1], a.size), a.size)
        return np.asarray(direct(a) - outer(a) * (through(a) @ turned))

    return predict


def shifted(first: int, last: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """Make windows that begin `first` channels later, and end `last` later, than they should."""

    def window(B: np.ndarray, size: int) -> np.ndarray:
        offset = np.arange(len(B)) - np.arange(len(B))[:, None]  # c - d, or the channel that looks back
        return ((offset >= -(size // 2) + first) & (offset <= (size - 1) // 2 + last)).astype(np.float64)

    return window


def from_below_zero(B: np.ndarray, size: int) -> np.ndarray:
    """Take the neighbours by a slice whose start may lie below 0, as NumPy understands that."""
    C = len(B)
    taken = np.zeros((C, C))
    for d in range(C):
        taken[d - (size - 1) // 2 : d + size // 2 + 1, d] = 1
    return taken


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
            lrn_with(outer=lambda a: 0),
        ),
        Mistake(
            "wrong sign", "the term that goes through the windows has the wrong sign",
            "y = x * u^-beta falls when u grows: d(u^-beta)/du = -beta * u^(-beta-1)",
            lrn_with(outer=lambda a: -2 * a.alpha * a.beta / a.size * a.x),
        ),
        Mistake(
            "wrong scale", "the term that goes through the windows is half of what it should be",
            "d(x^2)/dx = 2x",
            lrn_with(outer=lambda a: a.alpha * a.beta / a.size * a.x),
        ),
        Mistake(
            "wrong scale", "the term that goes through the windows lacks beta",
            "d(u^-beta)/du = -beta * u^(-beta-1)",
            lrn_with(outer=lambda a: 2 * a.alpha / a.size * a.x),
        ),
        Mistake(
            "wrong scale", "the term through the windows is `size` times too large: alpha / size, not alpha",
            "minicnn, Caffe and PyTorch divide alpha by the size of the window; the AlexNet paper does not",
            lrn_with(outer=lambda a: 2 * a.alpha * a.beta * a.x),
        ),
        Mistake(
            "missing transpose", "the window is not turned round: right for odd sizes, wrong for even ones",
            "d lies in the windows of all c from d - (size-1)//2 to d + size//2: the band transposed",
            lrn_with(window=lambda B, size: B),
        ),
        Mistake(
            "missing sum at a fan-out",
            "only the own channel is there: x_d is in the windows of its neighbours",
            "sum over all channels c whose window contains d",
            lrn_with(window=lambda B, size: np.eye(len(B))),
        ),
        Mistake(
            "wrong scale", "the term that goes through the windows lacks alpha",
            "u = k + alpha / size * sum of x^2, so du/dx = 2 * alpha / size * x",
            lrn_with(outer=lambda a: 2 * a.beta / a.size * a.x),
        ),
        Mistake(
            "wrong exponent", "in the term through the windows u has the exponent -beta, not -beta - 1",
            "d(u^-beta)/du = -beta * u^(-beta-1): the exponent goes down by 1",
            lrn_with(through=lambda a: a.gy * a.x * a.u**-a.beta),
        ),
        Mistake(
            "wrong exponent", "in the term through the windows u has the exponent 1 - beta, not -beta - 1",
            "d(u^-beta)/du = -beta * u^(-beta-1): the exponent goes down by 1",
            lrn_with(through=lambda a: a.gy * a.x * a.u ** (1 - a.beta)),
        ),
        Mistake(
            "wrong exponent", "in the term through the windows u has the exponent beta + 1, not -(beta + 1)",
            "u^-(beta+1), that is, divided by u^(beta+1)",
            lrn_with(through=lambda a: a.gy * a.x * a.u ** (a.beta + 1)),
        ),
        Mistake(
            "wrong exponent", "in the term through the windows u has the exponent beta - 1, not -beta - 1",
            "y = x * u^-beta: the exponent of u is -beta, and goes down by 1",
            lrn_with(through=lambda a: a.gy * a.x * a.u ** (a.beta - 1)),
        ),
        Mistake(
            "wrong exponent", "in the direct term you multiply by u^beta; y is x divided by it",
            "gy * u**-beta",
            lrn_with(direct=lambda a: a.gy * a.u**a.beta),
        ),
        Mistake(
            "wrong exponent", "in the direct term u has the exponent -beta - 1; there it is -beta",
            "only the derivative of u^-beta lowers the exponent; the direct term has u^-beta itself",
            lrn_with(direct=lambda a: a.gy * a.u ** (-a.beta - 1)),
        ),
        Mistake(
            "missing factor", "your direct term is gy itself: it lacks u^-beta",
            "y = x * u^-beta, so with u held fixed dy/dx is u^-beta",
            lrn_with(direct=lambda a: a.gy),
        ),
        Mistake(
            "missing term", "the direct term is missing: x is a factor of y, too, besides being in u",
            "gx begins with gy * u**-beta",
            lrn_with(direct=lambda a: 0),
        ),
        Mistake(
            "missing factor", "in the term through the windows x of the neighbour is missing",
            "y_c = x_c * u_c^-beta: what reaches u_c is gy_c times x_c",
            lrn_with(through=lambda a: a.gy * a.u ** (-a.beta - 1)),
        ),
        Mistake(
            "gy is missing", "the term through the windows lacks gy, that of each neighbour",
            "sum gy_c * x_c * u_c^(-beta-1) over all channels c whose window contains d",
            lrn_with(through=lambda a: a.x * a.u ** (-a.beta - 1)),
        ),
        Mistake(
            "missing factor", "the term through the windows lacks x of its own channel, from d(x^2)/dx = 2x",
            "multiply the sum by 2 * x[..., d]",
            lrn_with(outer=lambda a: 2 * a.alpha * a.beta / a.size),
        ),
        Mistake(
            "wrong channel", "x of the neighbour is squared inside the sum; one x is that of the own channel",
            "u_c contains x_d^2, whose derivative is 2 * x_d: a factor before the sum",
            lrn_with(
                through=lambda a: a.gy * a.x**2 * a.u ** (-a.beta - 1),
                outer=lambda a: 2 * a.alpha * a.beta / a.size,
            ),
        ),
        Mistake(
            "wrong channel", "u is that of the own channel; every neighbour c has its own u_c",
            "u_c^(-beta-1) belongs into the sum over c",
            lrn_with(
                through=lambda a: a.gy * a.x,
                outer=lambda a: 2 * a.alpha * a.beta / a.size * a.x * a.u ** (-a.beta - 1),
            ),
        ),
        Mistake(
            "wrong channel", "gy is that of the own channel; every neighbour c has its own gy_c",
            "gy_c belongs into the sum over c",
            lrn_with(
                through=lambda a: a.x * a.u ** (-a.beta - 1),
                outer=lambda a: 2 * a.alpha * a.beta / a.size * a.x * a.gy,
            ),
        ),
        Mistake(
            "two mistakes", "the term through the windows lacks 2, and u has the exponent -beta there",
            "d(x^2)/dx = 2x, and d(u^-beta)/du = -beta * u^(-beta-1)",
            lrn_with(
                through=lambda a: a.gy * a.x * a.u**-a.beta,
                outer=lambda a: a.alpha * a.beta / a.size * a.x,
            ),
        ),
        Mistake(
            "two mistakes", "the term through the windows lacks beta, and u has the exponent -beta there",
            "d(u^-beta)/du = -beta * u^(-beta-1): beta becomes a factor, and the exponent goes down by 1",
            lrn_with(
                through=lambda a: a.gy * a.x * a.u**-a.beta,
                outer=lambda a: 2 * a.alpha / a.size * a.x,
            ),
        ),
        Mistake(
            "two mistakes", "the term through the windows lacks 2 and x of its own channel: 2x, from x^2",
            "multiply the sum by 2 * x[..., d]",
            lrn_with(outer=lambda a: a.alpha * a.beta / a.size),
        ),
        Mistake(
            "two mistakes", "the term through the windows lacks 2 and the division by `size`",
            "u = k + alpha / size * sum of x^2, so du/dx = 2 * alpha / size * x",
            lrn_with(outer=lambda a: a.alpha * a.beta * a.x),
        ),
        Mistake(
            "window off by one", "the windows lack their last channel: the end of a slice is not part of it",
            "range(first, last + 1), and [first : last + 1]",
            lrn_with(window=shifted(0, -1)),
        ),
        Mistake(
            "window off by one", "the sum over the neighbours lacks the last of them",
            "the end of a slice is not part of it: [... : d + size//2 + 1]",
            lrn_with(window=shifted(1, 0)),
        ),
        Mistake(
            "window too large", "the windows have one channel too many where size is even",
            "from c - size//2 to c + (size-1)//2: `size` channels",
            lrn_with(window=lambda B, size: np.maximum(B, B.T)),
        ),
        Mistake(
            "no window", "the sum is over all channels; only those whose window contains d count",
            "c - size//2 <= d <= c + (size-1)//2",
            lrn_with(window=lambda B, size: np.ones_like(B)),
        ),
        Mistake(
            "a slice that begins below 0", "channels near the first one get nothing through the windows",
            "a slice from -1 on begins at the last channel: use max(first, 0)",
            lrn_with(window=from_below_zero),
        ),
    ),
    {
        "the size is even": lambda sample: lrn_settings(sample.settings)["size"] % 2 == 0,
        "the window has more than one channel":
            lambda sample: min(lrn_settings(sample.settings)["size"], sample.inputs[0].shape[-1]) > 1,
    },
)  # fmt: skip
