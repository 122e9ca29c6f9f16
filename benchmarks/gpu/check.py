"""All parts, one after the other, and a report that is whole after each of them."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT
from benchmarks.gpu.isolation import run_command
from benchmarks.gpu.notes import write_json

# The parts in their order of importance, and how many seconds each may take of nine minutes. Most stay below.
PARTS = {
    "doctor": 30,
    "tests": 150,
    "sanitizer": 50,
    "speed": 130,
    "kernels": 30,
    "convolutions": 50,
    "ops": 25,
    "situations": 60,
    "sweep": 45,
    "streams": 15,
}
LEAST_SECONDS = 5  # with less left a part is not begun

Record = dict[str, Any]
RunPart = Callable[[str, Path, float, bool], Record]


def check(
    parts: Sequence[str], minutes: float, toy: bool, after_part: Callable[[Record], None], run: RunPart
) -> Record:
    """Run the parts.

    Parameters
    ----------
    parts : sequence of str
        Some of PARTS, in any order.
    minutes : float
        For all of them.
    toy : bool
        Whether on toys.
    after_part : callable
        Gets the record of the whole after each part.
    run : callable
        Runs one part: `in_process_of_its_own`.
    """
    deadline = time.monotonic() + 60 * minutes
    record: Record = {
        "kind": "gpu check", "date": datetime.date.today().isoformat(), "commit": commit(),
        "minutes": minutes, "toy": toy, "parts": {},
    }  # fmt: skip
    for name in sorted(parts, key=list(PARTS).index):
        left = deadline - time.monotonic()
        if left < LEAST_SECONDS:
            record["parts"][name] = {
                "status": "not run",
                "seconds": 0.0,
                "problem": "no time was left",
                "found": {},
            }
        else:
            with tempfile.TemporaryDirectory() as folder:
                record["parts"][name] = run(name, Path(folder) / "found.json", min(PARTS[name], left), toy)
        after_part(record)
    return record


def in_process_of_its_own(name: str, path: Path, seconds: float, toy: bool) -> Record:
    """Run a part so that it can harm nobody; return how it ended and what it found."""
    arguments = [name, str(path), str(seconds), "toy" if toy else "full"]
    search = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "benchmarks.gpu.part_process", *arguments]
    ended = run_command(command, seconds, {"PYTHONPATH": search, "PYTHONUNBUFFERED": "1"}, ROOT)
    if ended.status is None:
        status, problem = "out of time", ended.last_lines
    elif ended.status < 0:
        status, problem = "died", f"signal {-ended.status}\n{ended.last_lines}"
    else:
        status, problem = ("done", "") if ended.status == 0 else ("failed", ended.last_lines)
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {"status": status, "seconds": round(ended.seconds, 1), "problem": problem, "found": found}


def commit() -> str:
    """Return which commit this is, with a plus if files differ from it."""
    here = Path(__file__).resolve().parent  # in the checkout, also where folders are links
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def write(record: Record, folder: Path, markdown: str) -> None:
    """Write check.json and check.md."""
    write_json(folder / "check.json", record)
    (folder / "check.md").write_text(markdown, encoding="utf-8")
