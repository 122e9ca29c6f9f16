"""What a machine can compute on, why its GPU cannot be used, and what to type about it.

Facts are gathered (`facts`, `probe`), judged (`diagnosis`, a pure function, with `driver`, `cupy_wheels` and
`machine`) and written down (`report`).
"""

from __future__ import annotations

from minicnn.doctor.diagnosis import diagnose
from minicnn.doctor.facts import Device, Facts, Gpu, Machine, Wheel, gather
from minicnn.doctor.finding import Finding
from minicnn.doctor.report import report

__all__ = [
    "Device",
    "Facts",
    "Finding",
    "Gpu",
    "Machine",
    "Wheel",
    "diagnose",
    "gather",
    "gpu_problem",
    "report",
]


def gpu_problem(index: int = 0) -> str | None:
    """Say why a GPU cannot be used, and what to type, in one line.

    Parameters
    ----------
    index : int, default=0
        Number of the GPU, as in "cuda:1".

    Returns
    -------
    str or None
        None if the GPU can be used: a small kernel was compiled and run on it.
    """
    blocking = [finding for finding in diagnose(gather(index), index) if finding.blocks]
    return " ".join(blocking[0].one_line().split()) if blocking else None
