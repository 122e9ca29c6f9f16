"""An auxiliary head beside the rest of the network: a second loss, and gradient injected into the middle.

x ──┬── global average ── fc ─────────────────────────── cross-entropy ──────┐
    └── average pool ── 1x1 conv, ReLU ── flatten ── fc1, ReLU                 + ── loss
                         └── dropout ── fc2 ── cross-entropy ── times 0.3 ───┘
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.op_cases import OpCase, Sample
from minicnn.op_cases.case import distinct
from minicnn.op_cases.channels import cross_entropy_reference
from minicnn.op_cases.convolution import conv2d_relu_reference
from minicnn.op_cases.pooling import avg_pool2d_reference, global_avg_pool2d_reference
from minicnn.op_cases.products import linear_reference
from minicnn.ops.dropout import Dropout
from minicnn.study.exercises.exercise import Exercise, Mistake, Trial
from minicnn.study.exercises.tasks.composite import (
    gradients_of,
    listed,
    on_the_way,
    relu,
    seen_by,
    with_value,
)
from minicnn.tensor import Function, Tensor, no_grad

WEIGHTS = ("w_conv", "w_fc1", "w_fc2", "w_fc")
NAMES = ("x", *(name for w in WEIGHTS for name in (w, "b" + w[1:])))
RELUS = {"conv": "the 1x1 convolution", "hidden": "fc1"}
AUX_WEIGHT = 0.3


class UnmaskedDropout(Function):
    """A dropout that forgets its mask in backward."""

    name = "unmasked_dropout"

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        return x * self.mask

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gy."""
        return (gy,)


class UnscaledDropout(UnmaskedDropout):
    """A dropout that forgets in backward that forward scaled what it kept."""

    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:
        """Return gy where something was kept."""
        return (gy * (self.mask > 0),)


def total_loss(
    *tensors: Tensor,
    labels: np.ndarray,
    mask: np.ndarray,
    aux_weight: float = AUX_WEIGHT,
    trunk_weight: float = 1.0,
    lost: Collection[str] = (),
    unmasked: Collection[str] = (),
    dropout: type[Dropout] | type[UnmaskedDropout] = Dropout,
    logits_of: Mapping[str, str] | None = None,
    kept: dict[str, Tensor] | None = None,
) -> Tensor:
    """Run trunk and head; what comes back through `lost` parts and the masks of `unmasked` is left out.

    The results on the way are put into `kept`. The mask is cast to the dtype of x. `logits_of` names results
    that are taken for others on the way back.
    """
    t = dict(zip(NAMES, tensors, strict=True))
    kept = {} if kept is None else kept
    kept["pooled"] = F.avg_pool2d(seen_by(t["x"], "head", lost), 3, stride=2)
    conv = F.conv2d(kept["pooled"], t["w_conv"], t["b_conv"])
    kept["conv"] = relu(conv, "conv", unmasked)
    kept["flat"] = F.flatten(kept["conv"])
    kept["hidden"] = relu(F.linear(kept["flat"], t["w_fc1"], t["b_fc1"]), "hidden", unmasked)
    kept["dropped"] = dropout(mask.astype(t["x"].dtype)).apply(kept["hidden"])
    kept["aux_logits"] = F.linear(kept["dropped"], t["w_fc2"], t["b_fc2"])
    kept["mean"] = F.global_avg_pool2d(seen_by(t["x"], "trunk", lost))
    kept["logits"] = F.linear(kept["mean"], t["w_fc"], t["b_fc"])
    taken = {name: with_value(kept[name], kept[other]) for name, other in (logits_of or {}).items()}
    trunk, head = (F.cross_entropy({**kept, **taken}[name], labels) for name in ("logits", "aux_logits"))
    return trunk_weight * trunk + aux_weight * head


def total_loss_reference(*arrays: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Put trunk and head together from the references of their ops."""
    x, w_conv, b_conv, w_fc1, b_fc1, w_fc2, b_fc2, w_fc, b_fc = arrays
    conv = conv2d_relu_reference(avg_pool2d_reference(x, 3, stride=2), w_conv, b_conv)
    hidden = linear_reference(conv.reshape(len(x), -1), w_fc1, b_fc1)
    hidden = np.where(hidden.real > 0, hidden, 0)
    head = cross_entropy_reference(linear_reference(hidden * mask, w_fc2, b_fc2), labels)
    trunk = cross_entropy_reference(linear_reference(global_avg_pool2d_reference(x), w_fc, b_fc), labels)
    return np.asarray(trunk + AUX_WEIGHT * head)


def _samples(rng: np.random.Generator) -> list[Sample]:
    def sample(label: str, N: int, H: int, W: int, C: int, filters: int, hidden: int, K: int) -> Sample:
        flat = ((H - 3) // 2 + 1) * ((W - 3) // 2 + 1) * filters
        shapes = [(1, 1, C, filters), (flat, hidden), (hidden, K), (C, K)]
        weights = [rng.standard_normal(s) for shape in shapes for s in (shape, shape[-1:])]
        mask = (rng.random((N, hidden)) >= 0.5) / 0.5
        mask[0, :2] = 0, 2  # some of both, whatever is drawn
        settings = {"labels": rng.integers(0, K, N), "mask": mask}
        return Sample(label, (distinct(rng, N, H, W, C), *weights), settings)

    return [
        sample("two images", 2, 3, 5, 2, 3, 4, 3),
        sample("one image", 1, 5, 5, 2, 2, 5, 4),
        sample("pooled to one pixel", 3, 3, 3, 3, 2, 6, 2),
    ]


CASE = OpCase("auxiliary head", total_loss, total_loss_reference, _samples, (), ())


def saved(inputs: Sequence[np.ndarray], settings: Mapping[str, Any], y: np.ndarray) -> tuple[SimpleNamespace]:
    """Give the learner what forward has computed on the way."""
    kept: dict[str, Tensor] = {}
    with no_grad():
        total_loss(*map(Tensor, inputs), **settings, kept=kept)
    on_the_way = {name: t.data.copy() for name, t in kept.items()}
    mask, labels = settings["mask"].astype(inputs[0].dtype), settings["labels"].copy()
    names = dict(zip(NAMES, inputs, strict=True))
    return (SimpleNamespace(**names, **on_the_way, mask=mask, labels=labels),)


def with_change(name: str, likely: str, more: str, of: tuple[str, ...] = (), **changes: Any) -> Mistake:
    """Make a mistake that `total_loss` makes with `changes`."""
    return Mistake(name, likely, more, gradients_of(partial(total_loss, **changes)), of)


def classifier_of_hidden(trial: Trial, name: str) -> np.ndarray:
    """Predict gw_fc2 if it is computed from the values before dropout."""
    kept, g = on_the_way(total_loss, trial, "aux_logits")
    return kept["hidden"].T @ g


EXERCISE = Exercise(
    "auxiliary-head", "an auxiliary head: a weighted second loss, dropout, and injected gradient", 3, CASE,
    ("saved",), saved, tuple(f"g{name}" for name in NAMES),
    "minicnn/nn/auxiliary_head.py", "docs/googlenet.md",
    (
        *(
            with_change(
                "missing sum at a fan-out", f"gx lacks what comes back through {listed([part])}",
                "x is seen by the trunk and by the head, so gx is the sum of both contributions",
                ("gx",), lost=(part,),
            )
            for part in ("trunk", "head")
        ),
        with_change(
            "wrong scale", "the head's gradient is not weighted: its loss counts 0.3 times",
            "the gradient that enters the head is 0.3 * gy",
            aux_weight=1.0,
        ),
        with_change(
            "wrong scale", "the head's gradient is weighted twice: its loss counts 0.3 times, not 0.09",
            "multiply by 0.3 where the gradient enters the head, and nowhere else",
            aux_weight=AUX_WEIGHT**2,
        ),
        with_change(
            "wrong scale", "both losses are weighted with 0.3: the weight is that of the head alone",
            "the trunk's gradient begins with gy, the head's with 0.3 * gy",
            trunk_weight=AUX_WEIGHT,
        ),
        with_change(
            "weights exchanged", "the trunk's loss is weighted with 0.3, and the head's is not",
            "the trunk's gradient begins with gy, the head's with 0.3 * gy",
            trunk_weight=AUX_WEIGHT, aux_weight=1.0,
        ),
        with_change(
            "wrong sign", "the head's gradient has the wrong sign: the two losses are added",
            "the gradient of a sum goes to both summands, with a plus",
            aux_weight=-AUX_WEIGHT,
        ),
        *(
            with_change(
                "wrong input", f"the {who} cross-entropy is given the logits of the other one",
                "cross_entropy_backward(g, saved.logits, ...) in the trunk, saved.aux_logits in the head",
                logits_of={mine: other},
            )
            for who, mine, other in (
                ("head's", "aux_logits", "logits"), ("trunk's", "logits", "aux_logits"),
            )
        ),
        Mistake(
            "wrong input", "your gw_fc2 is computed from hidden, but fc2 saw what dropout had left of it",
            "linear_backward(g, saved.dropped, saved.w_fc2)",
            classifier_of_hidden, ("gw_fc2",),
        ),
        with_change(
            "missing dropout mask", "the gradient passes the dropout without its mask",
            "y = x * mask, so gx = gy * mask: with the mask that forward drew",
            dropout=UnmaskedDropout,
        ),
        with_change(
            "wrong scale", "dropout: you drop the right units, but those kept were scaled by 1 / (1 - p)",
            "multiply by saved.mask itself, which holds 0 and 1 / (1 - p); not by mask > 0",
            dropout=UnscaledDropout,
        ),
        *(
            with_change(
                "missing ReLU mask", f"the gradient passes the ReLU after {after} without its mask",
                f"g = relu_backward(g, saved.{result}) before the backward of {after}",
                unmasked=(result,),
            )
            for result, after in RELUS.items()
        ),
        with_change(
            "missing ReLU masks", "neither ReLU of the head has its mask",
            "g = relu_backward(g, its output) before the backward of the layer below",
            unmasked=tuple(RELUS),
        ),
        with_change(
            "two mistakes", "the head's gradient lacks 0.3, and passes dropout without its mask",
            "the gradient that enters the head is 0.3 * gy; what leaves fc2 is multiplied by saved.mask",
            aux_weight=1.0, dropout=UnmaskedDropout,
        ),
        with_change(
            "two mistakes", "the head has no mask at all: neither that of the dropout nor those of the ReLUs",
            "multiply by saved.mask, and take relu_backward(g, its output) before the layer below",
            dropout=UnmaskedDropout, unmasked=tuple(RELUS),
        ),
    ),
    {"the batch has more than one image": lambda sample: len(sample.inputs[0]) > 1},
    {
        "gx": "nhwc", "gw_conv": "ijco", **{f"g{w}": "io" for w in WEIGHTS[1:]},
        **{f"gb{w[1:]}": "o" for w in WEIGHTS},
    },
    as_dict=True,
)  # fmt: skip
