"""What was measured, as text for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.records import Measurement, Report
from benchmarks.spread import ratios, spread

MIB = 1 << 20
SMALL_SHARE = 0.005  # ops below this are not listed one by one


def report_as_text(report: Report) -> str:
    """Return all tables of a run."""
    parts = [
        machine_lines(report),
        *(f"{measurement_table(m, report)}\n\n{op_table(m, report)}" for m in report.measurements),
    ]
    if any(len(measurement.times) > 1 for measurement in report.measurements):
        parts.append(ratio_table(report.measurements))
    return "\n\n".join(parts)


def machine_lines(report: Report) -> str:
    """Say what was measured on."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    rates = ", ".join(f"{rate / 1e9:.0f} on {_threads(int(n))}" for n, rate in report.gemm_flops.items())
    return "\n".join(
        [
            f"{machine['cpu']}, {machine['cores']} cores, {_threads(report.threads)} used; {machine['date']}",
            versions,
            f"GEMM, float32, 2048x2048x2048 in NumPy: GFLOP/s {rates}",
        ]
    )


def measurement_table(measurement: Measurement, report: Report) -> str:
    """Return the table of one workload: times, rates, memory and ratios."""
    workload = measurement.workload
    rows = [["", "median ms", "min", "max", "GFLOP/s", "of GEMM", "peak MiB", "ratio", "quartiles"]]
    minicnn = measurement.times[0]
    for times in measurement.times:
        step = spread(times.measured)
        rate = measurement.flop / step.median
        threads = 1 if times.one_thread else report.threads
        ratio = ratios(times.seconds, minicnn.seconds)
        rows.append(
            [
                times.title,
                *(f"{1e3 * seconds:.1f}" for seconds in (step.median, step.minimum, step.maximum)),
                f"{rate / 1e9:.1f}",
                f"{rate / report.gemm_flops[str(threads)]:.0%}",
                f"{times.peak_bytes / MIB:.0f}",
                f"{ratio.median:.2f}",
                "" if times is minicnn else f"{ratio.lower:.2f}-{ratio.upper:.2f}",
            ]
        )
    rounds = len(minicnn.seconds)
    what = f"{measurement.flop / 1e9:.1f} GFLOP a step, {rounds} rounds"
    title = f"{workload.title}: {workload.network}; {what}"
    return "\n".join([title, measurement.agreement, *in_columns(rows)])


def op_table(measurement: Measurement, report: Report) -> str:
    """Return where the time of minicnn's step goes: as it runs, and in the ops of the network's diagram."""
    as_it_runs = measurement.profile
    separate = as_it_runs["separate_ops"]
    gemm = report.gemm_flops[str(report.threads)]
    return "\n\n".join(
        [
            _op_table("minicnn, op by op", as_it_runs, gemm),
            _op_table(f"in separate ops: {1e3 * separate['seconds']:.1f} ms", separate, gemm),
        ]
    )


def _op_table(heading: str, profile: Mapping[str, Any], gemm: float) -> str:
    total = profile["seconds"]
    rows = [[heading, "forward ms", "backward ms", "total ms", "share", "GFLOP/s", "of GEMM"]]
    rest = total
    small = 0.0
    for op in profile["ops"]:
        seconds = op["forward_seconds"] + op["backward_seconds"]
        rest -= seconds
        if seconds < SMALL_SHARE * total:
            small += seconds
            continue
        rate = op["flop"] / seconds
        rows.append(
            [
                op["name"],
                f"{1e3 * op['forward_seconds']:.1f}",
                f"{1e3 * op['backward_seconds']:.1f}",
                f"{1e3 * seconds:.1f}",
                f"{seconds / total:.1%}",
                *((f"{rate / 1e9:.1f}", f"{rate / gemm:.0%}") if rate else ("", "")),
            ]
        )
    rows.append(["other ops", "", "", f"{1e3 * small:.1f}", f"{small / total:.1%}", "", ""])
    rows.append(["outside of ops", "", "", f"{1e3 * rest:.1f}", f"{rest / total:.1%}", "", ""])
    return "\n".join(in_columns(rows))


def ratio_table(measurements: Sequence[Measurement]) -> str:
    """Return all ratios side by side, a column for each workload."""
    titles = {times.name: times.title for m in measurements for times in m.times[1:]}
    rows = [["", *(measurement.workload.title for measurement in measurements)]]
    for name, title in titles.items():
        row = [title]
        for measurement in measurements:
            times = measurement.of(name)
            row.append(f"{ratios(times.seconds, measurement.times[0].seconds).median:.2f}" if times else "")
        rows.append(row)
    return "\n".join(["time of a step / minicnn's time (above 1: minicnn is faster)", *in_columns(rows)])


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align a table: the first column to the left, numbers to the right; a rule below the heading.

    Examples
    --------
    >>> print(*in_columns([["", "ms"], ["minicnn", "1.5"]]), sep="\\n")
              ms
    ------------
    minicnn  1.5
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
