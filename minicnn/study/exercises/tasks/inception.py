"""The whole inception module: concat cuts, four branches send back, and their shares are added up."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases import CASES
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial
from minicnn.study.exercises.tasks.composite import (
    gradients_of,
    listed,
    on_the_way,
    relu,
    seen_by,
    with_value,
)
from minicnn.tensor import Tensor, no_grad

BRANCHES = ("1x1", "3x3", "5x5", "pooling")
WEIGHTS = ("w1", "w3_reduce", "w3", "w5_reduce", "w5", "w_proj")
NAMES = ("x", *(name for w in WEIGHTS for name in (w, "b" + w[1:])))
RELUS = {
    "y1": "the 1x1 convolution", "reduced3": "the 3x3 reduction", "y3": "the 3x3 convolution",
    "reduced5": "the 5x5 reduction", "y5": "the 5x5 convolution", "y_proj": "the projection",
}  # fmt: skip


def module(
    *tensors: Tensor,
    lost: Collection[str] = (),
    unmasked: Collection[str] = (),
    pool_sees_its_output: bool = False,
    kept: dict[str, Tensor] | None = None,
) -> Tensor:
    """Run the module op by op, without what comes back through `lost` branches and the masks of `unmasked`.

    The results on the way are put into `kept`. With `pool_sees_its_output`, the pooling's backward is given
    what it gave instead of what it saw.
    """
    t = dict(zip(NAMES, tensors, strict=True))
    kept = {} if kept is None else kept

    def convolved(x: Tensor, w: str, padding: int, result: str) -> Tensor:
        kept[result] = relu(F.conv2d(x, t[w], t["b" + w[1:]], padding=padding), result, unmasked)
        return kept[result]

    kept["pooled"] = F.max_pool2d(seen_by(t["x"], "pooling", lost), 3, stride=1, padding=1)
    if pool_sees_its_output:
        pooled_again = F.max_pool2d(with_value(t["x"], kept["pooled"]), 3, stride=1, padding=1)
        kept["pooled"] = with_value(pooled_again, kept["pooled"])
    reduced3 = convolved(seen_by(t["x"], "3x3", lost), "w3_reduce", 0, "reduced3")
    reduced5 = convolved(seen_by(t["x"], "5x5", lost), "w5_reduce", 0, "reduced5")
    return F.concat(
        [
            convolved(seen_by(t["x"], "1x1", lost), "w1", 0, "y1"),
            convolved(reduced3, "w3", 1, "y3"),
            convolved(reduced5, "w5", 2, "y5"),
            convolved(kept["pooled"], "w_proj", 0, "y_proj"),
        ]
    )


def saved(inputs: Sequence[np.ndarray], settings: Mapping[str, Any], y: np.ndarray) -> tuple[SimpleNamespace]:
    """Give the learner what forward has computed on the way."""
    kept: dict[str, Tensor] = {}
    with no_grad():
        module(*map(Tensor, inputs), kept=kept)
    on_the_way = {name: t.data.copy() for name, t in kept.items()}
    return (SimpleNamespace(**dict(zip(NAMES, inputs, strict=True)), **on_the_way),)


def missing_branches(lost: tuple[str, ...]) -> Mistake:
    """Make the mistake of not adding what comes back through these branches."""
    branch = "branch" if len(lost) == 1 else "branches"
    return Mistake(
        "missing sum at a fan-out",
        f"gx lacks what comes back through {listed(lost)} {branch}",
        "x is seen by four branches, so gx is the sum of four contributions",
        gradients_of(partial(module, lost=lost)), ("gx",),
    )  # fmt: skip


def missing_mask(result: str) -> Mistake:
    """Make the mistake of passing a ReLU without its mask."""
    return Mistake(
        "missing ReLU mask",
        f"the gradient passes the ReLU after {RELUS[result]} without its mask",
        f"g = relu_backward(g, saved.{result}) before the backward of the convolution",
        gradients_of(partial(module, unmasked=(result,))),
    )


def projection_of_x(trial: Trial, name: str) -> np.ndarray:
    """Predict gw_proj if it is computed from x."""
    kept, g = on_the_way(module, trial, "y_proj")
    masked = g * (kept["y_proj"] > 0)
    return np.einsum("nhwc,nhwo->co", trial.sample.inputs[0], masked)[None, None]


EXERCISE = Exercise(
    "inception", "an inception module: four branches, and the sum at the fan-out", 3, CASES["inception"],
    ("saved",), saved, tuple(f"g{name}" for name in NAMES),
    "minicnn/nn/inception.py", "docs/ops/inception.md",
    (
        *(missing_branches(lost) for k in (1, 2, 3) for lost in itertools.combinations(BRANCHES, k)),
        *(missing_mask(result) for result in RELUS),
        Mistake(
            "wrong input", "your gw_proj is computed from x, but the projection saw what the pooling gave",
            "conv2d_backward(g_proj, saved.pooled, saved.w_proj)",
            projection_of_x, ("gw_proj",),
        ),
        Mistake(
            "wrong input", "the pooling's backward is given what the pooling gave; it needs what it saw, x",
            "max_pool2d_backward(g_proj, saved.x, 3, stride=1, padding=1)",
            gradients_of(partial(module, pool_sees_its_output=True)), ("gx",),
        ),
        Mistake(
            "missing ReLU masks", "no ReLU of the module has its mask",
            "every convolution is followed by a ReLU: g = relu_backward(g, its output) comes first",
            gradients_of(partial(module, unmasked=tuple(RELUS))),
        ),
        Mistake(
            "missing ReLU masks", "the ReLUs after the reductions have no masks",
            "the reductions are followed by a ReLU, too: relu_backward(g, saved.reduced3)",
            gradients_of(partial(module, unmasked=("reduced3", "reduced5"))),
        ),
        Mistake(
            "missing ReLU masks", "the four ReLUs before the concatenation have no masks",
            "y1, y3, y5 and y_proj come out of ReLUs: relu_backward(g1, saved.y1), and so on",
            gradients_of(partial(module, unmasked=("y1", "y3", "y5", "y_proj"))),
        ),
    ),
    {"there are ties": lambda sample: "ties" in sample.label},
    {
        "gx": "nhwc", **{f"g{w}": "ijco" for w in WEIGHTS}, **{f"gb{w[1:]}": "o" for w in WEIGHTS},
    },
    as_dict=True,
)  # fmt: skip
