"""How the check of a mended op reads, and the explanation of what was wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from minicnn.gradient_check import GradcheckReport
from minicnn.study.exercises.bug_catalogue import BUGS
from minicnn.study.exercises.bugs import Bug, Finding
from minicnn.study.text_tables import Column, as_text

COLUMNS = [Column("checked with", left=True), Column("", left=True), Column("gradient checker", left=True)]


def examination_text(bug: Bug, findings: Sequence[Finding], more: bool = False) -> str:
    """Write how a mended op did; with `more` the whole report of the first sample that fails."""
    rows = [[_called(f), "right" if f.right else "WRONG", _verdict(f)] for f in findings]
    lines = [f"{bug.name}: {bug.title}", "", *as_text(COLUMNS, rows), ""]
    wrong = [finding for finding in findings if not finding.right]
    if not wrong:
        names = list(BUGS)
        place = names.index(bug.name) + 1
        lines.append(f"Well done: it is mended. What it was: minicnn exercise bugs explain {bug.name}")
        if place < len(names):
            lines.append(f"Next: minicnn exercise bugs start {names[place]}")
        return "\n".join(lines)
    lines.append(f"{len(wrong)} of {len(findings)} wrong: {_called(wrong[0])}")
    first = wrong[0]
    if first.problem:
        lines.append(f"  {first.problem}")
    if first.report is not None and not first.report:
        whole = str(first.report).splitlines()
        lines += [f"  {line}".rstrip() for line in (whole if more else _in_short(first.report))]
        if not more:
            lines += ["", "More: add --more for all that the checker says"]
    return "\n".join(lines)


def explanation_text(bug: Bug) -> str:
    """Write what was wrong, and why."""
    return "\n".join(
        [
            f"{bug.name}: {bug.title}",
            "",
            *textwrap.wrap(bug.explanation, 100),
            "",
            "as it is",
            textwrap.indent(textwrap.dedent(bug.wrong.strip("\n")), "    "),
            "as it should be",
            textwrap.indent(textwrap.dedent(bug.right.strip("\n")), "    "),
        ]
    )


def _called(finding: Finding) -> str:
    shapes = " ".join(str(x.shape) for x in finding.sample.inputs)
    settings = ", ".join(f"{name}={_short(value)}" for name, value in finding.sample.settings.items())
    return f"{finding.sample.label}: {shapes}" + (f", {settings}" if settings else "")


def _short(value: object) -> str:
    return str(value).replace("\n", " ")


def _verdict(finding: Finding) -> str:
    if finding.report is None:
        return "-"
    return str(finding.report).splitlines()[0].removeprefix("gradcheck: ")


def _in_short(report: GradcheckReport) -> list[str]:
    """Return the first wrong coordinate of each input, and which op is to blame."""
    if report.problem:
        return [report.problem]
    first = {failure.input: failure for failure in reversed(report.failures)}
    lines = [str(failure).splitlines()[0] for _, failure in sorted(first.items())]
    ops = [f"first wrong op: {f.first_wrong_op}" for f in report.failures if f.first_wrong_op]
    explanations = [f.explanation for f in report.failures if f.explanation]
    said = [*lines, *dict.fromkeys(text.splitlines()[0] for text in ops + explanations)]
    return ["gradients of sum(gy * y), for a random gy:", *said]
