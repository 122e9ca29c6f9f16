"""`minicnn doctor`."""

from __future__ import annotations

import argparse

from minicnn.doctor import diagnose, gather, report
from minicnn.errors import UsageError

READY, NOT_USABLE = 0, 2


def doctor_command(options: argparse.Namespace) -> int:
    """Print what was found; the exit status tells whether the device that was asked for can be used."""
    index = gpu_index(options.device)
    facts = gather(index or 0)
    findings = diagnose(facts, index or 0)
    print(report(facts, findings, index or 0))
    if index is not None and any(finding.blocks for finding in findings):
        return NOT_USABLE
    return READY


def gpu_index(device: str) -> int | None:
    """Read the number of a GPU; None for the CPU.

    Examples
    --------
    >>> gpu_index("cpu"), gpu_index("cuda"), gpu_index("cuda:1")
    (None, 0, 1)
    """
    kind, colon, number = device.partition(":")
    if device == "cpu":
        return None
    if kind != "cuda" or (colon and not (number.isascii() and number.isdigit())):
        raise UsageError(f'--device: expected cpu, cuda or cuda:NUMBER, got "{device}"')
    return int(number or 0)
