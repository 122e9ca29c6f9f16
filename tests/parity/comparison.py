"""How far apart two results are, and the worst that was seen in each group of comparisons.

Two arrays agree to a relative error of 1e-8 if they do so in both norms,

    |ours - theirs| / |theirs|  <= 1e-8       Euclidean norm: the arrays as a whole
    max|ours - theirs| / max|theirs| <= 1e-8  maximum norm: every single element

In float64, two correct ways of computing the same thing differ by some 1e-15; a float32 temporary anywhere
would show as 1e-8 to 1e-7, a wrong formula as far more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT = 1e-8


@dataclass
class Group:
    """What was seen in one group: how many comparisons, the worst error, and where."""

    comparisons: int = 0
    worst: float = 0.0
    where: str = "-"


_groups: dict[str, Group] = {}
_vectors_run: dict[str, int] = {}


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the larger of the two relative errors; 0 if both are zero or empty, nan if either is."""
    if ours.size == 0 or np.array_equal(ours, theirs):
        return 0.0
    difference = (ours - theirs).ravel()
    theirs = theirs.ravel()
    with np.errstate(divide="ignore"):  # theirs may be zero everywhere: then the error is infinite
        return float(
            np.maximum(
                np.linalg.norm(difference) / np.linalg.norm(theirs),
                np.abs(difference).max() / np.abs(theirs).max(),
            )
        )


def assert_agree(group: str, what: str, ours: Any, theirs: Any) -> None:
    """Fail unless both are float64 arrays (NumPy or PyTorch) of one shape that agree to 1e-8."""
    assert ours is not None, f"{group}, {what}: minicnn computed nothing"
    assert theirs is not None, f"{group}, {what}: PyTorch computed nothing"
    theirs = theirs.detach().numpy() if hasattr(theirs, "detach") else np.asarray(theirs)
    assert ours.dtype == theirs.dtype == np.float64, f"{group}, {what}: {ours.dtype} and {theirs.dtype}"
    assert ours.shape == theirs.shape, f"{group}, {what}"
    error = relative_error(ours, theirs)
    seen = _groups.setdefault(group, Group())
    seen.comparisons += 1
    if not error <= seen.worst:
        seen.worst, seen.where = error, what
    assert error <= LIMIT, f"{group}, {what}: relative error {error:.2e}"


def count_vector(op_type: str) -> None:
    """Note that one of the ONNX project's vectors for an op has passed."""
    _vectors_run[op_type] = _vectors_run.get(op_type, 0) + 1


def closeness_report() -> list[str]:
    """Return the lines that are printed after the tests."""
    lines = [
        f"{name:<24}{seen.worst:9.1e} in {seen.comparisons:5} comparisons, at: {seen.where}"
        for name, seen in sorted(_groups.items())
    ]
    if _vectors_run:
        parts = ", ".join(f"{op} {count}" for op, count in sorted(_vectors_run.items()))
        lines.append(f"ONNX vectors passed: {sum(_vectors_run.values())} ({parts})")
    return lines
