"""Findings about the machine without its GPU: what makes training slow, or too large for it."""

from __future__ import annotations

from collections.abc import Iterator

from minicnn.doctor.facts import Machine
from minicnn.doctor.finding import GIBIBYTE, Finding, in_gibibytes

SLOW_BLAS = ("", "blas", "cblas", "refblas", "netlib", "none", "unknown", "internal")
LITTLE_MEMORY = GIBIBYTE


def about_machine(machine: Machine) -> Iterator[Finding]:
    """Find what makes training slow, or leaves it little memory."""
    if machine.blas is not None and machine.blas.lower() in SLOW_BLAS:
        yield Finding(
            "slow-blas",
            "NumPy multiplies matrices with a reference BLAS, which makes training many times as slow",
            "install NumPy's own wheel, which brings OpenBLAS",
            (f"{machine.pip} install --force-reinstall --no-deps numpy",),
            blocks=False,
        )
    limit = machine.core_limit
    if limit is not None and limit < machine.usable_cores:
        threads = max(1, int(limit))
        yield Finding(
            "core-limit",
            f"this container may use {limit:g} of its {machine.usable_cores} cores at a time",
            "use no more threads than that",
            (f"minicnn train --threads {threads}",),
            blocks=False,
        )
    free = [size for size in (machine.free_memory, machine.memory_limit) if size is not None]
    if free and min(free) < LITTLE_MEMORY:
        yield Finding(
            "little-memory",
            f"only {in_gibibytes(min(free))} of memory is free",
            "close other programs, or train with smaller batches",
            ("minicnn train --batch-size 8",),
            blocks=False,
        )
    if machine.thread_variables:
        values = ", ".join(f"{name}={value}" for name, value in sorted(machine.thread_variables.items()))
        yield Finding(
            "thread-variables",
            f"{values} makes no difference: minicnn has threads of its own and keeps BLAS to one",
            blocks=False,
        )
