"""compute-sanitizer on every kernel: memory that is not theirs, and races in shared memory."""

from __future__ import annotations

import re
import shutil
import sys

from benchmarks.contenders import ROOT
from benchmarks.gpu.isolation import Ended, run_command
from benchmarks.gpu.notes import Notes

TOOLS = ("memcheck", "racecheck")


def run(notes: Notes) -> None:
    """Run the tools, each with its share of the time."""
    sanitizer = shutil.which("compute-sanitizer")
    program = [sys.executable, "-m", "benchmarks.gpu.every_kernel"]
    plain = run_command(program, notes.left / 2, folder=ROOT)  # compiles the kernels, too
    notes.note(
        "plain", {"status": plain.status, "seconds": round(plain.seconds, 1), "last_lines": plain.last_lines}
    )
    if sanitizer is None:
        notes.note("remark", "compute-sanitizer is not installed")
        return
    if plain.status != 0:
        notes.note("remark", "not run: the kernels do not run without it")
        return
    for place, tool in enumerate(TOOLS):
        seconds = (notes.left - 2) / (len(TOOLS) - place)
        notes.note(tool, verdict(run_command([sanitizer, "--tool", tool, *program], seconds, folder=ROOT)))


def verdict(ended: Ended) -> dict[str, object]:
    """Read what the tool says at its end."""
    summary = re.search(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", ended.output)
    seconds = round(ended.seconds, 1)
    if ended.status is None:
        return {"errors": None, "seconds": seconds, "last_lines": "stopped by the clock\n" + ended.last_lines}
    if summary is None:
        return {"errors": None, "seconds": seconds, "last_lines": ended.last_lines}
    errors = int(summary.group(1))
    first = (
        [line for line in ended.output.splitlines() if line.startswith("=========")][:20] if errors else []
    )
    return {"errors": errors, "seconds": seconds, "last_lines": "\n".join(first)}
