"""What was found, as Markdown: first what a target says to it, then the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.spread import ratios, spread

TARGET_RATIO, STRETCH_RATIO = 1.0, 1.5  # PyTorch's time by minicnn's
TARGET_SHARE = 0.6  # of the copy rate
LEAST_BYTES = 8 << 20  # a kernel that moves less is over before memory could be busy
MIB = 1 << 20

Record = dict[str, Any]


def as_markdown(record: Record) -> str:
    """Write the report of a check."""
    found = {name: part["found"] for name, part in record["parts"].items()}
    machine = found.get("doctor", {}).get("cupy", {})
    parts = [
        f"# GPU check{' (toy sizes: the numbers mean nothing)' if record['toy'] else ''}",
        f"{record['date']}, commit {record['commit']}, on {machine.get('gpu', 'an unknown GPU')}.",
        "\n".join(f"- {line}" for line in verdicts(record)),
        *sections(record, found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# ---- the verdicts ----


def verdicts(record: Record) -> Iterator[str]:
    """Say of each target whether it was reached; and which parts did not end well."""
    found = {name: part["found"] for name, part in record["parts"].items()}
    if "tests" in found:
        yield verdict_on_tests(found["tests"])
    if "sanitizer" in found:
        yield verdict_on_sanitizer(found["sanitizer"])
    for comparison in found.get("speed", {}).get("comparisons", []):
        yield verdict_on_speed(comparison)
    if "kernels" in found:
        yield verdict_on_kernels(found["kernels"])
    if "situations" in found:
        situations = found["situations"].get("situations", [])
        bad = [entry["situation"] for entry in situations if not entry["ok"]]
        how = "NOT as they should be: " + ", ".join(bad) if bad else "all as they should be"
        yield f"Situations: {len(situations)} tried, {how}."
    for name, part in record["parts"].items():
        if part["status"] != "done":
            last = part["problem"].strip().splitlines()[-1:] or [""]
            yield f"Part {name}: **{part['status']}** after {part['seconds']:.0f} s. {last[0]}".rstrip()


def verdict_on_tests(found: Record) -> str:
    """Say how many tests passed."""
    summary = found.get("summary")
    if summary is None:
        return f"Tests: none were run. {found.get('remark', '')}".rstrip()
    if summary.get("unfinished"):
        return (
            f"Tests: **not finished**, about {summary['passed']} passed until then. {found.get('remark', '')}"
        )
    failed = f"**{summary['failed']} failed**" if summary["failed"] else "none failed"
    remark = f" ({found['remark']})" if "remark" in found else ""
    return f"Tests: {summary['passed']} passed, {failed}, {summary['skipped']} skipped{remark}."


def verdict_on_sanitizer(found: Record) -> str:
    """Say what compute-sanitizer found."""
    tools = {name: found[name]["errors"] for name in ("memcheck", "racecheck") if name in found}
    if not tools:
        return f"compute-sanitizer: {found.get('remark', 'not run')}."
    words = {None: "did not end", 0: "no errors"}
    return (
        "compute-sanitizer: "
        + ", ".join(f"{name} {words.get(n, f'**{n} errors**')}" for name, n in tools.items())
        + "."
    )


def verdict_on_speed(comparison: Record) -> str:
    """Say whether minicnn is as fast as the fastest rival."""
    what = f"Speed, {comparison['workload']}, {comparison['precision']}"
    minicnn, *others = comparison["entries"]
    rivals = [entry for entry in others if entry["rival"] and entry.get("seconds")]
    if not minicnn.get("seconds"):
        return f"{what}: **not measured**: {minicnn.get('problem', 'no time')}"
    if not rivals:
        return f"{what}: {1e3 * spread(minicnn['seconds']).median:.2f} ms, nobody to compare with."
    of = {entry["title"]: paired(entry, minicnn).median for entry in rivals}
    rival, ratio = min(of.items(), key=lambda item: item[1])
    verdict = (
        "**below 1.0**"
        if ratio < TARGET_RATIO
        else "reached"
        if ratio < STRETCH_RATIO
        else "reached, and 1.5 too"
    )
    odd = [entry["title"] for entry in others if entry.get("seconds") and not entry["agrees"]]
    doubt = f" But {', '.join(odd)} did not compute the same." if odd else ""
    return f"{what}: {ratio:.2f} times as fast as {rival}: {verdict}.{doubt}"


def verdict_on_kernels(found: Record) -> str:
    """Say which kernels are too slow for the memory."""
    judged = [(entry, share_of_copy(entry, found)) for entry in found.get("kernels", [])]
    large = [(entry, share) for entry, share in judged if share is not None and entry["bytes"] >= LEAST_BYTES]
    below = [
        f"{entry['kernel']} ({entry['where']}) {share:.0%}" for entry, share in large if share < TARGET_SHARE
    ]
    how = (
        "**below 60% of the copy rate**: " + "; ".join(below)
        if below
        else "all at 60% of the copy rate or more"
    )
    problems = sum("problem" in entry for entry in found.get("kernels", []))
    unmeasured = f" {problems} could not be measured." if problems else ""
    return f"Kernels: {len(large)} large ones measured, {how}.{unmeasured}"


def paired(entry: Record, minicnn: Record) -> Any:
    """Return the ratios of times within the rounds that both took part in."""
    rounds = min(len(entry["seconds"]), len(minicnn["seconds"]))
    return ratios(entry["seconds"][:rounds], minicnn["seconds"][:rounds])


def share_of_copy(entry: Record, found: Record) -> float | None:
    """Return a kernel's rate by the copy rate; None if it was not measured."""
    return entry["bytes"] / entry["seconds"] / found["copy_rate"] if "seconds" in entry else None


# ---- the tables ----


def sections(record: Record, found: dict[str, Record]) -> Iterator[str]:
    """Write a section for each part that found something."""
    for name, write in SECTIONS.items():
        if found.get(name):
            yield write(found[name])
    rows = [[name, part["status"], f"{part['seconds']:.0f}"] for name, part in record["parts"].items()]
    problems = [
        f"{name}, {part['status']}:\n\n```\n{part['problem'].strip()}\n```"
        for name, part in record["parts"].items()
        if part["problem"].strip()
    ]
    yield "\n\n".join(["## Parts", table(["part", "how it ended", "seconds"], rows), *problems])


def speed_section(found: Record) -> str:
    """Write a table for each comparison."""
    parts = [
        "## Steps beside PyTorch",
        "A ratio above 1 says that minicnn is faster. Medians; in brackets the quartiles.",
    ]
    for comparison in found.get("comparisons", []):
        minicnn = comparison["entries"][0]
        rows = []
        for entry in comparison["entries"]:
            if not entry.get("seconds"):
                rows.append([entry["title"], entry.get("problem", "no time"), *[""] * 5])
                continue
            step = spread(entry["seconds"]).median
            ratio = ""
            if entry is not minicnn and minicnn.get("seconds"):
                r = paired(entry, minicnn)
                ratio = f"{r.median:.2f} ({r.lower:.2f}-{r.upper:.2f})"
            agrees = f"{entry['difference']:.0e}" + ("" if entry["agrees"] else " **too much**")
            rows.append([
                entry["title"], f"{1e3 * step:.2f}", ratio, f"{comparison['batch'] / step:,.0f}",
                f"{comparison['flop'] / step / 1e9:,.0f}", f"{entry['memory_bytes'] / MIB:,.0f}", agrees,
            ])  # fmt: skip
        heading = ["", "ms", "ratio", "images/s", "GFLOP/s", "memory MiB", "losses differ by"]
        parts += [
            f"### {comparison['workload']}, {comparison['precision']}",
            f"{comparison['network']}; {comparison['flop'] / 1e9:,.0f} GFLOP; losses may differ by "
            f"{comparison['tolerance']:g}.",
            table(heading, rows),
        ]
    if "left_out" in found:
        parts.append(f"No time was left for: {', '.join(found['left_out'])}.")
    return "\n\n".join(parts)


def kernels_section(found: Record) -> str:
    """Write the table of memory-bound kernels."""
    rows = []
    for entry in found.get("kernels", []):
        share = share_of_copy(entry, found)
        if share is None:
            rows.append(
                [entry["kernel"], entry["where"], f"{entry['bytes'] / MIB:.1f}", "", "", "", entry["problem"]]
            )
            continue
        verdict = "small" if entry["bytes"] < LEAST_BYTES else "ok" if share >= TARGET_SHARE else "**below**"
        rows.append([
            entry["kernel"], entry["where"], f"{entry['bytes'] / MIB:.1f}", f"{1e6 * entry['seconds']:.1f}",
            f"{entry['bytes'] / entry['seconds'] / 1e9:,.0f}", f"{share:.0%}", verdict,
        ])  # fmt: skip
    note = f"A copy within the GPU's memory: {found.get('copy_rate', 0) / 1e9:,.0f} GB/s, read and written."
    heading = ["kernel", "where", "MiB", "µs", "GB/s", "of copy", f"{TARGET_SHARE:.0%}"]
    return "\n\n".join(["## Kernels", note, table(heading, rows)])


def convolutions_section(found: Record) -> str:
    """Write the table of convolutions: TFLOP/s forward / input gradient / weight gradient."""
    rates = ", ".join(f"{rate / 1e12:.1f} in {name}" for name, rate in found.get("product_flops", {}).items())
    entries = found.get("convolutions", [])
    columns = list(dict.fromkeys(who for entry in entries for who in entry["seconds"]))
    rows = [
        [
            entry["layer"],
            f"{entry['flop'] / 1e9:.1f}",
            *(
                " / ".join(f"{entry['flop'] / s / 1e12:.1f}" for s in entry["seconds"].get(who, []))
                for who in columns
            ),
        ]
        for entry in entries
    ]
    note = f"TFLOP/s, forward / input gradient / weight gradient. Large square products reach {rates}."
    problems = [f"{entry['layer']}: {entry['problem']}" for entry in entries if "problem" in entry]
    if "left_out" in found:
        problems.append(f"No time was left for {found['left_out']} more.")
    return "\n\n".join(["## Convolutions", note, table(["", "GFLOP", *columns], rows), *problems])


def ops_section(found: Record) -> str:
    """Write where the time of a step goes."""
    parts = ["## Where the time of a step goes", found.get("remark", "")]
    for step in found.get("steps", []):
        total = step["kernel_seconds"]
        title = (
            f"{step['workload']}, {step['precision']}: {1e3 * step['step_seconds']:.2f} ms, of which kernels "
            f"{1e3 * total:.2f} ms"
        )
        by_family = [[f, f"{1e3 * s:.3f}", f"{s / total:.1%}"] for f, s in step["families"].items()]
        by_kernel = [
            [
                f"`{k['name']}`",
                f"{k['calls']:.0f}",
                f"{1e3 * k['seconds']:.3f}",
                f"{k['seconds'] / total:.1%}",
            ]
            for k in step["kernels"]
        ]
        parts += [
            f"### {title}",
            table(["", "ms", "share"], by_family),
            table(["kernel", "calls", "ms", "share"], by_kernel),
        ]
    return "\n\n".join(part for part in parts if part)


def sweep_section(found: Record) -> str:
    """Write tiles and batches."""
    parts = ["## Tiles and batches"]
    tiles = found.get("tiles", [])
    sizes = list(dict.fromkeys(entry["tile_bytes"] for entry in tiles))
    runs = list(dict.fromkeys((entry["workload"], entry["precision"]) for entry in tiles))
    times = {(e["workload"], e["precision"], e["tile_bytes"]): f"{1e3 * e['seconds']:.2f}" for e in tiles}
    rows = [[", ".join(run), *(times.get((*run, size), "") for size in sizes)] for run in runs]
    installed = found["tile_bytes_as_installed"] / MIB
    note = f"Milliseconds a training step by GPU_TILE_BYTES in MiB; {installed:g} as installed."
    parts += [note, table(["", *(f"{size / MIB:g}" for size in sizes)], rows)]
    rows = [
        [e["precision"], str(e["batch"]), f"{e['images_per_second']:,.0f}"] for e in found.get("batches", [])
    ]
    return "\n\n".join([*parts, table(["", "batch", "images/s"], rows)])


def streams_section(found: Record) -> str:
    """Compare modules as one op, and their branches in turn and side by side."""
    rows = [
        [
            entry["module"], entry["precision"],
            *(f"{1e6 * entry[way]:.0f}" for way in ("one_op", "in_turn", "side_by_side")),
            f"{entry['one_op'] / entry['side_by_side']:.2f}",
        ]
        for entry in found.get("modules", [])
    ]  # fmt: skip
    note = (
        "Microseconds of inception modules, forward: as minicnn trains (one op), by layers (in turn), and by "
        "layers on a stream each, without putting branches together. Above 1, streams could pay."
    )
    heading = ["", "", "one op", "in turn", "side by side", "one op by side by side"]
    return "\n\n".join(["## Branches on streams of their own", note, table(heading, rows)])


def situations_section(found: Record) -> str:
    """List what was seen."""
    lines = [
        f"- {entry['situation']}: {'' if entry['ok'] else '**wrong.** '}{one_line(entry['seen'])}"
        for entry in found.get("situations", [])
    ]
    return "\n\n".join(["## Bad situations", "\n".join(lines)])


def tests_section(found: Record) -> str:
    """List failures."""
    failures = found.get("summary", {}).get("failures", [])
    if not failures:
        return ""
    return "\n\n".join(
        ["## Failed tests", "\n".join(f"- `{f['test']}`: {one_line(f['line'])}" for f in failures)]
    )


def sanitizer_section(found: Record) -> str:
    """Show what compute-sanitizer complains of."""
    shown = [
        f"{name}:\n\n```\n{found[name]['last_lines']}\n```"
        for name in ("plain", "memcheck", "racecheck")
        if found.get(name, {}).get("last_lines") and (name != "plain" or found[name]["status"] != 0)
    ]
    return "\n\n".join(["## compute-sanitizer", *shown]) if shown else ""


def doctor_section(found: Record) -> str:
    """List versions; quote the doctor."""
    rows = [[name, str(value)] for part in ("cupy", "torch") for name, value in found.get(part, {}).items()]
    return "\n\n".join(["## The machine", table(["", ""], rows), f"```\n{found.get('doctor', '')}\n```"])


SECTIONS = {
    "tests": tests_section,
    "sanitizer": sanitizer_section,
    "situations": situations_section,
    "speed": speed_section,
    "kernels": kernels_section,
    "convolutions": convolutions_section,
    "ops": ops_section,
    "sweep": sweep_section,
    "streams": streams_section,
    "doctor": doctor_section,
}


def one_line(text: str) -> str:
    """Join lines."""
    return " ".join(str(text).split())


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; nothing if there are no rows.

    Examples
    --------
    >>> print(table(["", "ms"], [["minicnn", "1.5"]]))
    |  | ms |
    |---|---:|
    | minicnn | 1.5 |
    """
    if not rows:
        return ""
    lines = [heading, *([cell.replace("|", "/").replace("\n", " ") for cell in row] for row in rows)]
    return "\n".join(
        ["| " + " | ".join(lines[0]) + " |", "|---" + "|---:" * (len(heading) - 1) + "|"]
        + ["| " + " | ".join(line) + " |" for line in lines[1:]]
    )
