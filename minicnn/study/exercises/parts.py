"""Backward passes of minicnn's own ops on NumPy arrays, to put the backward of a larger piece together from.

The exercises about inception modules and auxiliary heads use them: what is to be learnt there is how
gradients travel between ops, not what happens inside one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.study.exercises.exercise import own_gradients


def conv2d_backward(
    gy: np.ndarray, x: np.ndarray, w: np.ndarray, padding: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gx, gw and gb of a convolution with stride 1 and a bias.

    Examples
    --------
    >>> x, w, gy = np.ones((1, 2, 2, 3)), np.ones((1, 1, 3, 4)), np.ones((1, 2, 2, 4))
    >>> [g.shape for g in conv2d_backward(gy, x, w)]
    [(1, 2, 2, 3), (1, 1, 3, 4), (4,)]
    """
    gx, gw, gb = own_gradients(F.conv2d, [x, w, _bias(w)], {"padding": padding}, gy)
    return gx, gw, gb


def linear_backward(
    gy: np.ndarray, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gx, gw and gb of a fully connected layer with a bias."""
    gx, gw, gb = own_gradients(F.linear, [x, w, _bias(w)], {}, gy)
    return gx, gw, gb


def relu_backward(gy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return gx of a ReLU, given its output y.

    Examples
    --------
    >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
    array([0., 5.])
    """
    return own_gradients(F.relu, [y], {}, gy)[0]


def max_pool2d_backward(gy: np.ndarray, x: np.ndarray, kernel_size: int, **settings: Any) -> np.ndarray:
    """Return gx of a max pooling; `settings` are stride and padding."""
    return own_gradients(F.max_pool2d, [x], {"kernel_size": kernel_size, **settings}, gy)[0]


def avg_pool2d_backward(gy: np.ndarray, x: np.ndarray, kernel_size: int, **settings: Any) -> np.ndarray:
    """Return gx of an average pooling; `settings` are stride and padding."""
    return own_gradients(F.avg_pool2d, [x], {"kernel_size": kernel_size, **settings}, gy)[0]


def global_avg_pool2d_backward(gy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return gx of a global average pooling, (N, C) to (N, H, W, C)."""
    return own_gradients(F.global_avg_pool2d, [x], {}, gy)[0]


def cross_entropy_backward(gy: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the gradient of the logits of a mean cross-entropy."""
    return own_gradients(F.cross_entropy, [logits], {"labels": labels}, gy)[0]


def _bias(w: np.ndarray) -> np.ndarray:
    return np.zeros(w.shape[-1], w.dtype)
