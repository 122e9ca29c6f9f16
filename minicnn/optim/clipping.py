"""Clipping: a limit on how far one batch can throw the weights.

    norm = sqrt(sum of g^2 over all elements of all gradients)
    g   *= max_norm / norm              if norm > max_norm

All gradients shrink by one factor, so the direction of the step stays. A deep network without batch
normalisation needs this at high learning rates: one steep batch early on is enough to switch most of its
ReLUs off, and a network whose ReLUs are off has no gradient to recover with (docs/training.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from minicnn.backend import Array, array_module
from minicnn.cuda.switch import uses_kernels
from minicnn.cuda.table import ArrayRow, ArrayTable, blocks_for
from minicnn.errors import UsageError
from minicnn.parallel import on_device_of

if TYPE_CHECKING:
    from minicnn.nn import Parameter


def clip_gradients(parameters: Iterable[Parameter], max_norm: float) -> float | Array:
    """Scale all gradients down together if their common norm exceeds `max_norm`.

    Parameters
    ----------
    parameters : iterable of Parameter
        Those without a gradient are left alone.
    max_norm : float
        Largest Euclidean norm of all gradients together, above 0.

    Returns
    -------
    float
        The norm before clipping; on a GPU an array of shape (), so that nobody has to wait for it.

    Raises
    ------
    UsageError
        If `max_norm` is not above 0.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import nn
    >>> p = nn.Parameter(np.zeros(2))
    >>> p.grad = np.array([3.0, 4.0])
    >>> clip_gradients([p], max_norm=1.0)
    5.0
    >>> p.grad
    array([0.6, 0.8])
    """
    if not max_norm > 0:
        raise UsageError(f"clip_gradients: max_norm: expected a number above 0, got {max_norm}")
    gradients = _gradients(parameters)
    if _on_gpu(gradients):
        with on_device_of(gradients[0][1]):
            return _clip_on_gpu(gradients, max_norm)
    norm = _norm(gradients)
    if norm > max_norm:
        for p, g in gradients:
            p.grad = g * p.dtype.type(max_norm / norm)  # a new array: somebody may hold the old one
    return norm


def gradient_norm(parameters: Iterable[Parameter]) -> float | Array:
    """Return the Euclidean norm of all gradients together; it is finite if, and only if, all of them are.

    Parameters
    ----------
    parameters : iterable of Parameter
        Those without a gradient count as 0.

    Returns
    -------
    float
        On a GPU an array of shape (), so that nobody has to wait for it.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import nn
    >>> p = nn.Parameter(np.zeros(2))
    >>> p.grad = np.array([3.0, 4.0])
    >>> gradient_norm([p])
    5.0
    """
    gradients = _gradients(parameters)
    if _on_gpu(gradients):
        with on_device_of(gradients[0][1]):
            arrays = [array_module(g).ascontiguousarray(g) for _, g in gradients]
            return _norm_on_gpu(ArrayTable(), list(zip(arrays, arrays, arrays, strict=True)))
    return _norm(gradients)


def _gradients(parameters: Iterable[Parameter]) -> list[tuple[Parameter, Array]]:
    return [(p, p.grad) for p in parameters if p.grad is not None]


def _on_gpu(gradients: list[tuple[Parameter, Array]]) -> bool:
    return bool(gradients) and all(uses_kernels(g) for _, g in gradients)


def _norm(gradients: list[tuple[Parameter, Array]]) -> float:
    squares = [float((g * g).sum()) for _, g in gradients]
    if math.isfinite(sum(squares)):
        return math.sqrt(math.fsum(squares))
    # Either a gradient is not finite, or its square is not: 1e20 is a float32 number, 1e40 is none.
    largest = max(float(abs(g).max()) for _, g in gradients if g.size)
    if not math.isfinite(largest):
        return largest
    return largest * math.sqrt(math.fsum(float(((g / largest) ** 2).sum()) for _, g in gradients))


def _norm_on_gpu(table: ArrayTable, rows: list[ArrayRow]) -> Array:
    xp = array_module(rows[0][0])
    parts = xp.empty((len(rows), blocks_for(rows)), np.float64)
    table.launch("sums_of_squares", rows, parts)
    return xp.sqrt(parts.sum())


def _clip_on_gpu(gradients: list[tuple[Parameter, Array]], max_norm: float) -> Array:
    xp = array_module(gradients[0][1])
    old = [xp.ascontiguousarray(g) for _, g in gradients]
    new = [xp.empty_like(g) for g in old]
    rows = list(zip(new, old, old, strict=True))
    table = ArrayTable()
    norm = _norm_on_gpu(table, rows)
    table.launch("clip", rows, norm, np.float64(max_norm))
    for (p, _), g in zip(gradients, new, strict=True):
        p.grad = g
    return norm
