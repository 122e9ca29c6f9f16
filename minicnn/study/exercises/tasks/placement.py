"""Windows that are put in the wrong place: what convolution and pooling give then."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minicnn.op_cases import Sample
from minicnn.shapes import Window
from minicnn.study.exercises.exercise import Mistake, Trial

Pixel = tuple[int, int]


class Misplacement(NamedTuple):
    """A way to go wrong about which pixel of the image an element of a window is.

    Attributes
    ----------
    name, likely, more : str
        As in Mistake.
    pixel : callable
        `pixel(w, p, q, i, j)` is the row and the column that element (i, j) of window (p, q) is taken for.
    kernel : callable
        How many rows and columns the window is taken to have.
    from_the_end : bool
        Whether a row or column below 0 is looked for at the end, as NumPy does, instead of being left out.
    """

    name: str
    likely: str
    more: str
    pixel: Callable[[Window, int, int, int, int], Pixel]
    kernel: Callable[[Window], Pixel] = lambda w: (w.KH, w.KW)
    from_the_end: bool = False

    def elements(self, w: Window) -> list[tuple[int, int, int, int, Pixel]]:
        """List the windows and their elements (p, q, i, j), each with its pixel, in the order of loops."""
        found = []
        for p, q, i, j in np.ndindex(w.OH, w.OW, *self.kernel(w)):
            row, column = self.pixel(w, p, q, i, j)
            if self.from_the_end:
                row, column = (row + w.H if row < 0 else row), (column + w.W if column < 0 else column)
            if 0 <= row < w.H and 0 <= column < w.W:
                found.append((p, q, i, j, (row, column)))
        return found

    def mistake(self, predict: Callable[[Trial, Misplacement], np.ndarray | None]) -> Mistake:
        """Make a mistake about gx of it."""
        return Mistake(
            self.name, self.likely, self.more, lambda trial, name: predict(trial, self), ("gx",)
        )  # fmt: skip


WINDOW_EXCHANGED = (
    "height and width of the window are exchanged: its KH rows go with i, its KW columns with j"
)
FIRST_PIXEL = "the top left pixel of window (p, q) is row p*SH - top, column q*SW - left of the image"

NO_STRIDE = Misplacement(
    "forgotten stride", "neighbouring windows are one pixel apart: the stride is forgotten", FIRST_PIXEL,
    lambda w, p, q, i, j: (p + i - w.top, q + j - w.left),
)  # fmt: skip
STRIDES_EXCHANGED = Misplacement(
    "height and width exchanged", "the two strides are exchanged: SH goes with the rows, SW with the columns",
    FIRST_PIXEL,
    lambda w, p, q, i, j: (p * w.SW + i - w.top, q * w.SH + j - w.left),
)  # fmt: skip
STRIDE_OF_ELEMENTS = Misplacement(
    "stride of the wrong index",
    "the stride multiplies i and j, the place in the window; it belongs to p and q, the window",
    FIRST_PIXEL + "; its elements lie side by side",
    lambda w, p, q, i, j: (p + i * w.SH - w.top, q + j * w.SW - w.left),
)  # fmt: skip
ELEMENTS_EXCHANGED = Misplacement(
    "height and width exchanged", WINDOW_EXCHANGED,
    "element (i, j) of a window lies i rows below and j columns right of its top left pixel",
    lambda w, p, q, i, j: (p * w.SH + j - w.top, q * w.SW + i - w.left),
)  # fmt: skip
KERNEL_EXCHANGED = Misplacement(
    "height and width exchanged", WINDOW_EXCHANGED,
    "kernel_size is (KH, KW): KH rows and KW columns",
    lambda w, p, q, i, j: (p * w.SH + i - w.top, q * w.SW + j - w.left),
    lambda w: (w.KW, w.KH),
)  # fmt: skip
SIDES_EXCHANGED = Misplacement(
    "height and width exchanged", "the paddings at the top and the left are exchanged",
    "padding is ((top, bottom), (left, right)): top goes with the rows, left with the columns",
    lambda w, p, q, i, j: (p * w.SH + i - w.left, q * w.SW + j - w.top),
)  # fmt: skip
NO_OFFSET = Misplacement(
    "forgotten padding", "the windows are laid over the image as if it were not padded at the top and left",
    FIRST_PIXEL,
    lambda w, p, q, i, j: (p * w.SH + i, q * w.SW + j),
)  # fmt: skip
OFFSET_ADDED = Misplacement(
    "padding with the wrong sign", "the padding moves the windows down and right; it has to be subtracted",
    FIRST_PIXEL,
    lambda w, p, q, i, j: (p * w.SH + i + w.top, q * w.SW + j + w.left),
)  # fmt: skip
FROM_THE_END = Misplacement(
    "padding comes out at the other side",
    "rows and columns below 0 are padding; to NumPy, -1 is the last one, and that gets their share",
    "leave out what is not in the image: 0 <= row < H and 0 <= column < W",
    lambda w, p, q, i, j: (p * w.SH + i - w.top, q * w.SW + j - w.left),
    from_the_end=True,
)  # fmt: skip

SHARED = (
    NO_STRIDE, STRIDES_EXCHANGED, STRIDE_OF_ELEMENTS, ELEMENTS_EXCHANGED, SIDES_EXCHANGED, OFFSET_ADDED,
    FROM_THE_END,
)  # fmt: skip


def placed(
    shares: Callable[[int, int], np.ndarray],
    w: Window,
    shape: tuple[int, ...],
    misplacement: Misplacement,
    add: bool = True,
) -> np.ndarray:
    """Give `shares(i, j)` (N, OH, OW, C) to the pixels that element (i, j) is taken for: (N, H, W, C).

    A pixel keeps their sum; or, with a second mistake, what the last window gave.
    """
    gx = np.zeros(shape)
    of_element = {(i, j): shares(i, j) for i, j in np.ndindex(*misplacement.kernel(w))}
    for p, q, i, j, pixel in misplacement.elements(w):
        place = (slice(None), *pixel)
        gx[place] = of_element[i, j][:, p, q] + (gx[place] if add else 0)
    return gx


def without_last_windows(window_of: Callable[[Sample], Window]) -> Mistake:
    """Make the mistake of working out the number of windows as in floor mode."""

    def predict(trial: Trial, name: str) -> np.ndarray:
        w = window_of(trial.sample)
        gy = trial.gy.copy()
        gy[:, w.OH - (w.extra_bottom > 0) :] = 0
        gy[:, :, w.OW - (w.extra_right > 0) :] = 0
        return trial.own(name, gy=gy)

    return Mistake(
        "missing windows", "the last windows are left out where they reach beyond the padded image",
        "OH and OW are those of gy; (H + top + bottom - KH) // SH + 1 is one too few in ceil mode",
        predict,
    )  # fmt: skip
