"""What was measured, as it is kept in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Times:
    """One contender on one workload.

    Attributes
    ----------
    name, title : str
        Of the contender.
    seconds : list of float or None
        For one step, round by round; None in rounds it did not take part in.
    peak_bytes : int
        Largest resident memory of its process.
    one_thread : bool
        Whether it ran on one thread, however many the others had.
    """

    name: str
    title: str
    seconds: list[float | None]
    peak_bytes: int
    one_thread: bool

    @property
    def measured(self) -> list[float]:
        """The seconds of the rounds it took part in."""
        return [seconds for seconds in self.seconds if seconds is not None]


@dataclass(frozen=True)
class Measurement:
    """All contenders on one workload; minicnn is the first.

    Attributes
    ----------
    workload : Workload
    flop : int
        Floating-point operations of the products of one step.
    agreement : str
        How closely the losses agreed, in words.
    times : list of Times
    profile : dict
        Where the time of minicnn's step goes: see `with_minicnn.profile`.
    """

    workload: Workload
    flop: int
    agreement: str
    times: list[Times]
    profile: dict[str, Any]

    def of(self, name: str) -> Times | None:
        """Return the times of a contender; None if it was not there."""
        return next((times for times in self.times if times.name == name), None)


@dataclass(frozen=True)
class Report:
    """A whole run.

    Attributes
    ----------
    machine : dict
        See `machine.describe`.
    threads : int
    gemm_flops : dict
        Measured floating-point operations per second of a matrix product, by number of threads.
    measurements : list of Measurement
    """

    machine: dict[str, Any]
    threads: int
    gemm_flops: dict[str, float]
    measurements: list[Measurement]

    def write(self, path: Path) -> None:
        """Write the JSON file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_reports(paths: Sequence[Path]) -> Report:
    """Read one report, or join those of several runs on the same machine.

    Raises
    ------
    BenchmarkError
        If a file is no report, or if they come from different machines or have a workload in common.
    """
    first, *others = [_read(path) for path in paths]
    for path, other in zip(paths[1:], others, strict=True):
        for what in ("cpu", "cores", "versions"):
            if other.machine[what] != first.machine[what]:
                raise BenchmarkError(
                    f"{path}: {what}: expected that of the first file, {first.machine[what]}, "
                    f"got {other.machine[what]}"
                )
        if other.threads != first.threads:
            raise BenchmarkError(f"{path}: threads: expected {first.threads}, got {other.threads}")
        known = [measurement.workload.title for measurement in first.measurements]
        for measurement in other.measurements:
            if measurement.workload.title in known:
                raise BenchmarkError(f"{path}: {measurement.workload.title} is in another file already")
        best = {count: max(rate, other.gemm_flops[count]) for count, rate in first.gemm_flops.items()}
        joined = [*first.measurements, *other.measurements]
        first = replace(first, gemm_flops=best, measurements=joined)
    return first


def _read(path: Path) -> Report:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        measurements = [_measurement(entry) for entry in content["measurements"]]
        return Report(content["machine"], content["threads"], content["gemm_flops"], measurements)
    except (ValueError, KeyError, TypeError) as error:
        what = f"got something else ({type(error).__name__}: {error})"
        raise BenchmarkError(f"{path}: expected what a comparison wrote, {what}") from None


def _measurement(entry: Mapping[str, Any]) -> Measurement:
    return Measurement(
        Workload(**entry["workload"]), entry["flop"], entry["agreement"],
        [Times(**times) for times in entry["times"]], entry["profile"],
    )  # fmt: skip
