"""Running op cases: forward and backward at once, exact derivatives, threads and tiles."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, parallel
from minicnn.op_cases import CASES, OpCase, Sample

STEP = 1e-30  # of complex-step derivatives: nothing is subtracted, so it may be this small


class Run(NamedTuple):
    """Output of an op, and the gradients of its inputs."""

    y: np.ndarray
    gradients: list[np.ndarray | None]


def samples_of_all_cases() -> list[Any]:
    """List (case, sample) as test parameters."""
    return [
        pytest.param(case, sample, id=f"{case.name}: {sample.label}")
        for case in CASES.values()
        for sample in case.samples(np.random.default_rng(1409_4842))
    ]


def cotangent(y: np.ndarray) -> np.ndarray:
    """Draw a gradient for y: random, for with all ones a wrong gradient may sum up to the right one."""
    return np.asarray(np.random.default_rng(y.size).standard_normal(y.shape), dtype=y.dtype)


def run(
    function: Callable[..., Tensor],
    inputs: Sequence[np.ndarray],
    settings: dict[str, Any],
    gy: np.ndarray | None = None,
    wanted: Sequence[bool] | None = None,
) -> Run:
    """Run an op forward and, with `gy` or a random cotangent, backward for the `wanted` inputs (all)."""
    wanted = [True] * len(inputs) if wanted is None else wanted
    tensors = [Tensor(x, requires_grad=w) for x, w in zip(inputs, wanted, strict=True)]
    y = function(*tensors, **settings)
    y.backward(cotangent(y.data) if gy is None else gy)
    return Run(y.data, [t.grad for t in tensors])


def run_sample(case: OpCase, sample: Sample, dtype: Any = np.float64) -> Run:
    """Run a sample in another dtype."""
    return run(case.function, [x.astype(dtype) for x in sample.inputs], sample.settings)


def derivative_along(
    reference: Callable[..., np.ndarray],
    inputs: Sequence[np.ndarray],
    settings: dict[str, Any],
    which: int,
    direction: np.ndarray,
) -> np.ndarray:
    """Differentiate a reference with respect to one input along a direction, exactly (see `op_cases`)."""
    moved = list(inputs)
    moved[which] = inputs[which] + 1j * STEP * direction
    return reference(*moved, **settings).imag / STEP


def assert_gradients_match(
    reference: Callable[..., np.ndarray],
    inputs: Sequence[np.ndarray],
    settings: dict[str, Any],
    gy: np.ndarray,
    gradients: Sequence[np.ndarray | None],
    rng: np.random.Generator,
    directions: int = 1,
) -> None:
    """Compare <gx, v> with <gy, dy/dx v> for random v, for every input."""
    for which, (x, gx) in enumerate(zip(inputs, gradients, strict=True)):
        assert gx is not None
        for _ in range(directions):
            v = rng.standard_normal(x.shape)
            expected = gy * derivative_along(reference, inputs, settings, which, v)
            scale = np.abs(expected).sum() + np.abs(gx * v).sum()
            rounding = 1e-12 * scale + 1e-15 * np.abs(gy).sum()
            assert abs((gx * v).sum() - expected.sum()) <= rounding, f"gradient of input {which}"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let ops use so many threads inside the block."""
    before = minicnn.get_num_threads()
    minicnn.set_num_threads(count)
    try:
        yield
    finally:
        minicnn.set_num_threads(before)


@contextmanager
def tile_bytes(size: int) -> Iterator[None]:
    """Cut batches into tiles of about `size` bytes inside the block."""
    before = parallel.TILE_BYTES
    parallel.TILE_BYTES = size
    try:
        yield
    finally:
        parallel.TILE_BYTES = before
