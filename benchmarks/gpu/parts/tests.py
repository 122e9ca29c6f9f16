"""All tests that need a GPU."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT
from benchmarks.gpu.isolation import run_command
from benchmarks.gpu.notes import Notes

MARKED = "gpu and not parity"  # parity tests are not even read: they import what may not be installed
MOST_FAILURES = 30  # that are told one by one
SPARE_SECONDS = 3  # to write down what was found


def run(notes: Notes) -> None:
    """Run pytest -m gpu."""
    try:
        older = older_than_wanted(importlib.metadata.version("pytest"), wanted_version())
    except importlib.metadata.PackageNotFoundError:
        notes.note("remark", "pytest is not installed: no test was run")
        return
    if older:
        notes.note("remark", older + "; it is used all the same")
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "junit.xml"
        options = ["-o", "minversion=0"] if older else []
        command = [
            sys.executable, "-m", "pytest", "-m", MARKED, "-q", "--tb=short", "-p", "no:cacheprovider",
            "--durations=5",            f"--junitxml={xml}", *options,
        ]  # fmt: skip
        ended = run_command(command, notes.left - SPARE_SECONDS, folder=ROOT)
        if xml.exists():
            notes.note("summary", read_junit(xml.read_text(encoding="utf-8")))
        else:
            notes.note(
                "remark",
                "pytest was stopped by the clock" if ended.status is None else "pytest did not get far",
            )
            notes.note("summary", {"passed": ended.output.count("."), "failures": [], "unfinished": True})
        notes.note("status", ended.status)
        notes.note("last_lines", ended.last_lines)


def wanted_version() -> str:
    """Return the oldest pytest that setup.cfg admits."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings["tool:pytest"]["minversion"]


def older_than_wanted(installed: str, wanted: str) -> str | None:
    """Say so if a version is older than another one.

    Examples
    --------
    >>> older_than_wanted("8.3.4", "8.4")
    'pytest is 8.3.4, the tests want 8.4'
    >>> older_than_wanted("9.0", "8.4")
    """
    numbers = [[int(part) for part in re.findall(r"\d+", version)[:2]] for version in (installed, wanted)]
    return f"pytest is {installed}, the tests want {wanted}" if numbers[0] < numbers[1] else None


def read_junit(text: str) -> dict[str, Any]:
    """Count what passed; keep the name and the first line of each failure."""
    suites = ElementTree.fromstring(text)
    cases = list(suites.iter("testcase"))
    failures = [
        {
            "test": f"{case.get('classname')}.{case.get('name')}",
            "line": (fault.get("message") or "").strip().partition("\n")[0][:300],
        }
        for case in cases
        for fault in [*case.iter("failure"), *case.iter("error")]
    ]
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    return {
        "passed": len(cases) - len({failure["test"] for failure in failures}) - skipped,
        "failed": len(failures), "skipped": skipped, "failures": failures[:MOST_FAILURES],
        "seconds": sum(float(suite.get("time", 0)) for suite in suites.iter("testsuite")),
    }  # fmt: skip
