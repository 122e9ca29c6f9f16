"""What the exercises about convolution and pooling share: geometry, and what goes wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from minicnn.op_cases import Sample
from minicnn.shapes import Window, window
from minicnn.study.exercises.exercise import Mistake, Predict, Trial

Pair = tuple[int, int]

Kept = Literal["sum", "last window", "last element"]
LAST: tuple[Kept, ...] = ("last window", "last element")


def geometry(x_shape: tuple[int, ...], kernel_size: Any, settings: Mapping[str, Any]) -> Window:
    """Work out the window of a sample."""
    return window(
        "exercise", (x_shape[1], x_shape[2]), kernel_size, settings.get("stride"),
        settings.get("padding", 0), settings.get("ceil_mode", False),
    )  # fmt: skip


def of_learner(w: Window) -> tuple[Pair, Pair, tuple[Pair, Pair]]:
    """Return kernel size, stride and padding as the learner is given them: always pairs."""
    return (w.KH, w.KW), (w.SH, w.SW), ((w.top, w.bottom), (w.left, w.right))


def window_features(of: Callable[[Sample], Window]) -> dict[str, Callable[[Sample], bool]]:
    """Say what may be special about the window of a sample."""
    return {
        "the stride is more than 1": lambda s: max(of(s).SH, of(s).SW) > 1,
        "windows overlap": lambda s: of(s).SH < of(s).KH or of(s).SW < of(s).KW,
        "there is padding": lambda s: any(sides(of(s))),
        "there is padding at the top or the left": lambda s: of(s).top + of(s).left > 0,
        "the last window reaches beyond the padded image": lambda s: (
            of(s).extra_bottom + of(s).extra_right > 0
        ),
        "the kernel is not square": lambda s: of(s).KH != of(s).KW,
        "the strides differ": lambda s: of(s).SH != of(s).SW,
        "the batch has more than one image": lambda s: len(s.inputs[0]) > 1,
        "there are ties": lambda s: "ties" in s.label,
    }


def sides(w: Window) -> tuple[int, int, int, int]:
    """Padding at the top, the bottom, the left and the right."""
    return w.top, w.bottom, w.left, w.right


def spread(
    shares: Callable[[int, int], np.ndarray], w: Window, shape: tuple[int, ...], kept: Kept = "sum"
) -> np.ndarray:
    """Put `shares(i, j)` (N, OH, OW, C) where kernel element (i, j) was; (N, PH, PW, C).

    A pixel keeps the sum of what it is given; or, with a mistake, what it was given last, in a loop over the
    windows or in one over the elements of the kernel.
    """
    padded = np.zeros((shape[0], w.PH, w.PW, shape[3]))
    if kept == "last window":
        of_element = {(i, j): shares(i, j) for i, j in np.ndindex(w.KH, w.KW)}
        for p, q, i, j in np.ndindex(w.OH, w.OW, w.KH, w.KW):
            padded[:, p * w.SH + i, q * w.SW + j] = of_element[i, j][:, p, q]
        return padded
    for i, j in np.ndindex(w.KH, w.KW):
        place = (slice(None), *w.taps(i, j))
        padded[place] = shares(i, j) + (padded[place] if kept == "sum" else 0)
    return padded


def cropped(padded: np.ndarray, w: Window) -> np.ndarray:
    """Cut the image out of a padded one."""
    rows, columns = w.image
    return padded[:, rows, columns]


def wrongly_cropped(
    padded_gradient: Callable[[Trial], np.ndarray], window_of: Callable[[Sample], Window]
) -> tuple[Mistake, ...]:
    """Give the ways of cutting the image out of the gradient of the padded one that are wrong."""

    def cut(rows_and_columns: Callable[[Window], tuple[slice, slice]]) -> Predict:
        def predict(trial: Trial, name: str) -> np.ndarray:
            rows, columns = rows_and_columns(window_of(trial.sample))
            return padded_gradient(trial)[:, rows, columns]

        return predict

    return (
        Mistake(
            "forgotten padding", "your gx is the gradient of the padded image: the padding has to be cut off",
            "cut the image out again, from row `top` and column `left` on",
            cut(lambda w: (slice(None), slice(None))), ("gx",),
        ),
        Mistake(
            "forgotten padding",
            "gx is shifted: the image begins at row `top`, column `left` of the padded one",
            "the top left pixel of window (p, q) is row p*SH - top, column q*SW - left of the image",
            cut(lambda w: (slice(w.H), slice(w.W))), ("gx",),
        ),
        *(
            Mistake(
                "an empty slice", "gx is cut out as [top:-bottom, left:-right]: empty where a padding is 0",
                "top : top + H and left : left + W are right for every padding",
                cut(inner), ("gx",),
            )
            for inner in (
                lambda w: (slice(w.top, -w.bottom), slice(w.left, -w.right)),
                lambda w: (  # with what only ceil mode needs in the padding
                    slice(w.top, -(w.bottom + w.extra_bottom)), slice(w.left, -(w.right + w.extra_right)),
                ),
            )
        ),
        Mistake(
            "height and width exchanged", "gx is cut out at row `left` and column `top`: they are exchanged",
            "padding is ((top, bottom), (left, right)): top goes with the rows, left with the columns",
            cut(lambda w: (slice(w.left, w.left + w.H), slice(w.top, w.top + w.W))), ("gx",),
        ),
    )  # fmt: skip
