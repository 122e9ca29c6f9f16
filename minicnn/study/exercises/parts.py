"""Backward passes of minicnn's own ops on NumPy arrays, to put the backward of a larger piece together from.

The exercises about inception modules and auxiliary heads use them: what is to be learnt there is how
gradients travel between ops, not what happens inside one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.errors import ShapeError
from minicnn.study.exercises.exercise import own_gradients
from minicnn.tensor import Tensor, no_grad


def conv2d_backward(
    gy: np.ndarray, x: np.ndarray, w: np.ndarray, padding: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gx, gw and gb of a convolution with stride 1 and a bias.

    Raises
    ------
    ShapeError
        If the shapes do not belong together; names the padding with which they would.

    Examples
    --------
    >>> x, w, gy = np.ones((1, 2, 2, 3)), np.ones((1, 1, 3, 4)), np.ones((1, 2, 2, 4))
    >>> [g.shape for g in conv2d_backward(gy, x, w)]
    [(1, 2, 2, 3), (1, 1, 3, 4), (4,)]
    """
    arrays = {"x": x, "w": w, "b": _bias(w)}
    gx, gw, gb = _gradients(
        "conv2d_backward", F.conv2d, arrays, {"padding": padding}, gy, _padding_that_fits(gy, x, w)
    )
    return gx, gw, gb


def linear_backward(
    gy: np.ndarray, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gx, gw and gb of a fully connected layer with a bias."""
    gx, gw, gb = _gradients("linear_backward", F.linear, {"x": x, "w": w, "b": _bias(w)}, {}, gy)
    return gx, gw, gb


def relu_backward(gy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return gx of a ReLU, given its output y.

    Examples
    --------
    >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
    array([0., 5.])
    """
    return _gradients("relu_backward", F.relu, {"y": y}, {}, gy)[0]


def max_pool2d_backward(gy: np.ndarray, x: np.ndarray, kernel_size: int, **settings: Any) -> np.ndarray:
    """Return gx of a max pooling; `settings` are stride and padding."""
    settings = {"kernel_size": kernel_size, **settings}
    return _gradients("max_pool2d_backward", F.max_pool2d, {"x": x}, settings, gy)[0]


def avg_pool2d_backward(gy: np.ndarray, x: np.ndarray, kernel_size: int, **settings: Any) -> np.ndarray:
    """Return gx of an average pooling; `settings` are stride and padding."""
    settings = {"kernel_size": kernel_size, **settings}
    return _gradients("avg_pool2d_backward", F.avg_pool2d, {"x": x}, settings, gy)[0]


def global_avg_pool2d_backward(gy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return gx of a global average pooling, (N, C) to (N, H, W, C)."""
    return _gradients("global_avg_pool2d_backward", F.global_avg_pool2d, {"x": x}, {}, gy)[0]


def cross_entropy_backward(gy: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the gradient of the logits of a mean cross-entropy."""
    return _gradients("cross_entropy_backward", F.cross_entropy, {"logits": logits}, {"labels": labels}, gy)[
        0
    ]


def _bias(w: np.ndarray) -> np.ndarray:
    return np.zeros(w.shape[-1], w.dtype)


def _gradients(
    part: str,
    function: Callable[..., Tensor],
    arrays: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    gy: np.ndarray,
    advice: str = "",
) -> list[np.ndarray]:
    """Return minicnn's own gradients; shapes that do not fit are reported in the words of the learner."""
    given = [f"{name} {array.shape}" for name, array in arrays.items() if name != "b"]
    given += [f"{name}={value}" for name, value in settings.items() if name != "labels"]
    what = f"{part}: gy {gy.shape} does not belong to {', '.join(given)}"
    try:
        with no_grad():
            y = function(*map(Tensor, arrays.values()), **settings)
    except ShapeError as error:
        raise ShapeError(f"{what}{advice or f' ({error})'}") from None
    if gy.shape != y.shape:
        raise ShapeError(f"{what}{advice or f', whose output has shape {y.shape}'}")
    return own_gradients(function, list(arrays.values()), settings, gy)


def _padding_that_fits(gy: np.ndarray, x: np.ndarray, w: np.ndarray) -> str:
    """Name the padding with which a convolution of x with w would give the shape of gy, if there is one."""
    if not gy.ndim == x.ndim == w.ndim == 4 or x.shape[3] != w.shape[2] or len(gy) != len(x):
        return ""
    for padding in range(max(w.shape[:2])):
        (H, W), (KH, KW) = x.shape[1:3], w.shape[:2]
        if gy.shape[1:] == (H + 2 * padding - KH + 1, W + 2 * padding - KW + 1, w.shape[3]):
            return f"; padding={padding} would fit"
    return ""
