"""Case of the inception module as one op."""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn.op_cases.case import ErrorCase, OpCase, Sample, distinct, tied, zeros
from minicnn.op_cases.convolution import conv2d_relu_reference
from minicnn.op_cases.pooling import max_pool2d_reference
from minicnn.op_cases.shaping import concat_reference
from minicnn.ops.inception import Inception
from minicnn.tensor import Tensor


def inception_reference(x: np.ndarray, *weights_and_biases: np.ndarray) -> np.ndarray:
    """Put the four branches together from the references of their ops."""
    w1, b1, w3_reduce, b3_reduce, w3, b3, w5_reduce, b5_reduce, w5, b5, w_proj, b_proj = weights_and_biases
    reduced3 = conv2d_relu_reference(x, w3_reduce, b3_reduce)
    reduced5 = conv2d_relu_reference(x, w5_reduce, b5_reduce)
    pooled = max_pool2d_reference(x, 3, stride=1, padding=1)
    return concat_reference(
        conv2d_relu_reference(x, w1, b1),
        conv2d_relu_reference(reduced3, w3, b3, padding=1),
        conv2d_relu_reference(reduced5, w5, b5, padding=2),
        conv2d_relu_reference(pooled, w_proj, b_proj),
    )


def _shapes(C: int, C1: int, R3: int, C3: int, R5: int, C5: int, CP: int) -> list[tuple[int, ...]]:
    kernels = ((1, C, C1), (1, C, R3), (3, R3, C3), (1, C, R5), (5, R5, C5), (1, C, CP))
    return [shape for K, CI, CO in kernels for shape in ((K, K, CI, CO), (CO,))]


def _samples(rng: np.random.Generator) -> list[Sample]:
    def weights(*widths: int) -> list[np.ndarray]:
        return [rng.standard_normal(shape) for shape in _shapes(*widths)]

    whole = [rng.integers(-1, 2, shape).astype(np.float64) for shape in _shapes(2, 2, 1, 2, 2, 1, 2)]
    return [
        Sample("narrow", (distinct(rng, 2, 3, 2, 2), *weights(2, 1, 2, 1, 1, 1, 1))),
        Sample("one image", (distinct(rng, 1, 4, 3, 3), *weights(3, 2, 1, 3, 2, 1, 2))),
        Sample("one pixel", (distinct(rng, 3, 1, 1, 2), *weights(2, 1, 1, 2, 1, 2, 1))),
        Sample("ties", (tied(rng, 2, 3, 3, 2), *whole)),
    ]


def _call(**changed: Tensor) -> Tensor:
    names = ("w1", "b1", "w3_reduce", "b3_reduce", "w3", "b3", "w5_reduce", "b5_reduce", "w5", "b5")
    arguments = dict(zip((*names, "w_proj", "b_proj"), _shapes(8, 4, 3, 6, 2, 5, 7), strict=True))
    tensors = {"x": zeros(2, 4, 4, 8), **{name: zeros(*shape) for name, shape in arguments.items()}}
    return F.inception(**{**tensors, **changed})


CASES = (
    OpCase(
        "inception",
        F.inception,
        inception_reference,
        _samples,
        (Inception,),
        (
            ErrorCase(
                "no batch",
                lambda: _call(x=zeros(4, 4, 8)),
                r"^inception: x: expected a batch of images \(N, H, W, C\), got shape \(4, 4, 8\)$",
            ),
            ErrorCase(
                "wrong channel count",
                lambda: _call(x=zeros(2, 4, 4, 6)),
                r"^inception: x: expected 8 channels for w1 of shape \(1, 1, 8, 4\), "
                r"got 6 channels in shape \(2, 4, 4, 6\)$",
            ),
            ErrorCase(
                "a reduction that does not see x",
                lambda: _call(w5_reduce=zeros(1, 1, 6, 2)),
                r"^inception: w5_reduce: expected shape \(1, 1, 8, filters\), got \(1, 1, 6, 2\)$",
            ),
            ErrorCase(
                "filters that do not see their reduction",
                lambda: _call(w3=zeros(3, 3, 4, 6)),
                r"^inception: w3: expected shape \(3, 3, 3, filters\), got \(3, 3, 4, 6\)$",
            ),
            ErrorCase(
                "another kernel",
                lambda: _call(w5=zeros(3, 3, 2, 5)),
                r"^inception: w5: expected shape \(5, 5, 2, filters\), got \(3, 3, 2, 5\)$",
            ),
            ErrorCase(
                "weights of two axes",
                lambda: _call(w3_reduce=zeros(8, 3)),
                r"^inception: w3_reduce: expected shape \(1, 1, 8, filters\), got \(8, 3\)$",
            ),
            ErrorCase(
                "no filters",
                lambda: _call(w_proj=zeros(1, 1, 8, 0), b_proj=zeros(0)),
                r"^inception: w_proj: expected shape \(1, 1, 8, filters\), got \(1, 1, 8, 0\)$",
            ),
            ErrorCase(
                "wrong bias",
                lambda: _call(b_proj=zeros(8)),
                r"^inception: b_proj: expected shape \(7,\), got \(8,\)$",
            ),
            ErrorCase(
                "no tensor",
                lambda: _call(w1=np.zeros((1, 1, 8, 4))),  # type: ignore[arg-type]
                r"^inception: w1: expected a Tensor, got ndarray",
            ),
        ),
    ),
)
