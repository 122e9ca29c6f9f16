"""Run an op of minicnn and its counterpart of PyTorch on the same numbers and compare everything.

The PyTorch side is written for minicnn's layouts: it permutes its inputs, computes, and permutes the
result back. The permutations are differentiable, so the gradients come out in minicnn's layouts, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from minicnn import Tensor
from parity.comparison import assert_agree


def check_op(
    group: str,
    case: str,
    ours: Callable[..., Tensor],
    theirs: Callable[..., torch.Tensor],
    arrays: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Compare the output, and the gradient of every input for a random cotangent.

    `ours` is called with one Tensor for each array, `theirs` with one torch.Tensor.
    """
    inputs = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    references = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, expected = ours(*inputs), theirs(*references)
    assert_agree(group, f"{case}, output", y.data, expected)
    gy = np.asarray(rng.standard_normal(y.shape))
    y.backward(gy)
    expected.backward(torch.tensor(gy))
    for index, (x, reference) in enumerate(zip(inputs, references, strict=True)):
        assert_agree(group, f"{case}, gradient of input {index}", x.grad, reference.grad)


def nchw(x: torch.Tensor) -> torch.Tensor:
    """(N, H, W, C) -> (N, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def nhwc(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def oihw(weight: torch.Tensor) -> torch.Tensor:
    """(KH, KW, CI, CO) -> (CO, CI, KH, KW)."""
    return weight.permute(3, 2, 0, 1)


def edges(padding: Any) -> tuple[int, int, int, int]:
    """Return a padding of minicnn in the order of torch.nn.functional.pad: left, right, top, bottom."""
    vertical, horizontal = padding if isinstance(padding, tuple) else (padding, padding)
    top, bottom = vertical if isinstance(vertical, tuple) else (vertical, vertical)
    left, right = horizontal if isinstance(horizontal, tuple) else (horizontal, horizontal)
    return left, right, top, bottom
