"""ReLU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.op_cases import CASES
from minicnn.study.exercises.exercise import Exercise, Mistake, Predict


def relu_with(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Predict:
    """Predict gx by `formula(gy, x)`."""
    return lambda trial, name: np.asarray(formula(trial.gy, trial.sample.inputs[0]))


EXERCISE = Exercise(
    "relu", "ReLU: where the gradient passes, and where it stops", 1, CASES["relu"],
    ("x",), lambda inputs, settings, y: (inputs[0],), ("gx",),
    "minicnn/ops/relu.py", "docs/ops/relu.md",
    (
        Mistake(
            "no mask", "your gx is gy, unchanged: the ReLU's mask is missing",
            "where x is negative, y stays 0 however x moves; so no gradient may pass there",
            relu_with(lambda gy, x: gy),
        ),
        Mistake(
            "mask of the wrong array", "you let pass where gy is positive: the mask has to be that of x",
            "look for a comparison with gy; the unit was switched on or off by its input x, in forward",
            relu_with(lambda gy, x: gy * (gy > 0)),
        ),
        Mistake(
            "mask turned round", "gradient passes where the unit was off, and stops where it was on",
            "y = x where x > 0; there the gradient passes",
            relu_with(lambda gy, x: gy * (x <= 0)),
        ),
        Mistake(
            "mask turned round", "gradient passes where x < 0, and stops where the unit was on",
            "y = x where x > 0; there the gradient passes. np.where(condition, if true, if false)",
            relu_with(lambda gy, x: gy * (x < 0)),
        ),
        Mistake(
            "the convention at the kink",
            "where x is exactly 0 you let gy pass; by convention it stops there",
            "use x > 0, not x >= 0: see docs/ops/relu.md on the kink",
            relu_with(lambda gy, x: gy * (x >= 0)),
        ),
        Mistake(
            "the convention at the kink",
            "where x is exactly 0 you let half of gy pass; by convention it stops there",
            "both are slopes of the kink, but all have to agree on one: x > 0, see docs/ops/relu.md",
            relu_with(lambda gy, x: gy * np.heaviside(x, 0.5)),
        ),
        Mistake(
            "sign instead of slope", "where x is negative you send back -gy: that is the slope of |x|",
            "the ReLU is flat where x is negative: the slope is 0, not -1",
            relu_with(lambda gy, x: gy * np.sign(x)),
        ),
        Mistake(
            "forward again", "your gx is y: the ReLU of x once more",
            "gx = gy * dy/dx: what comes from above, times the slope at x",
            relu_with(lambda gy, x: np.maximum(x, 0)),
        ),
        Mistake(
            "elements left out", "your gx holds only the elements that pass: gy[x > 0] is a shorter array",
            "gx has the shape of x, with zeros where nothing passes: gx[mask] = gy[mask], or gy * mask",
            relu_with(lambda gy, x: gy[x > 0]),
        ),
        Mistake(
            "value instead of slope",
            "your gx is gy times y: multiply by the slope (0 or 1), not by the value",
            "dy/dx is 1 where x > 0, however large x is",
            relu_with(lambda gy, x: gy * np.maximum(x, 0)),
        ),
        Mistake(
            "gy is missing", "your gx is the mask alone: it is not multiplied by gy",
            "gx = dL/dx = gy * dy/dx, element by element",
            relu_with(lambda gy, x: (x > 0).astype(gy.dtype)),
        ),
    ),
    {"x is exactly 0 somewhere": lambda sample: "ties" in sample.label},
)  # fmt: skip
