"""The bar chart of a comparison: how long a step takes, in multiples of minicnn's time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.records import Measurement, Report
from benchmarks.spread import ratios, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Distinguishable with any colour vision (Okabe and Ito 2008). minicnn on one thread is left out: no rival.
COLOURS = {
    "minicnn": "#0b4f8a",
    "torch": "#d55e00",
    "torch-nchw": "#e69f00",
    "torch-tuned": "#b3b3b3",
    "tensorflow": "#8c8c8c",
    "dezero": "#d9d9d9",
}
INK = "#333333"
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # text is not struck through by lines
LONGEST = 2.6  # bars are cut here, and say so


def draw_chart(report: Report, path: Path) -> None:
    """Draw training beside inference and write a PNG file."""
    halves = {
        title: [m for m in report.measurements if m.workload.training == training]
        for title, training in (("training step", True), ("inference", False))
    }
    halves = {title: measurements for title, measurements in halves.items() if measurements}
    bars = max(sum(len(bars_of(m)) + 1 for m in half) for half in halves.values())
    figure = Figure(figsize=(11, 1.3 + 0.25 * bars), dpi=150, layout="constrained")  # not pyplot: no windows
    FigureCanvasAgg(figure)
    figure.suptitle(
        "Time of a step in multiples of minicnn's: beyond the line, minicnn is faster",
        x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK,
    )  # fmt: skip
    all_axes = figure.subplots(1, len(halves), squeeze=False)[0]
    for axes, (title, measurements) in zip(all_axes, halves.items(), strict=True):
        draw_half(axes, title, measurements)
    figure.supxlabel(
        f"{report.machine['cpu']}, {report.threads} threads, float32; medians, whiskers: quartiles",
        x=0.01, ha="left", fontsize=8.5, color=INK,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", facecolor="white")


def bars_of(measurement: Measurement) -> list[str]:
    """Return the contenders that have a bar."""
    return [name for name in COLOURS if measurement.of(name)]


def draw_half(axes: Axes, title: str, measurements: Sequence[Measurement]) -> None:
    """Draw the workloads below each other, each a group of bars."""
    place = 0.0
    ticks: list[tuple[float, str]] = []
    for measurement in measurements:
        workload = measurement.workload
        axes.text(
            0, place, f"{workload.name}: {workload.side}x{workload.side}, width {workload.width}, "
            f"batch {workload.batch}", va="center", fontsize=9, fontweight="bold", color=INK, bbox=ON_WHITE,
        )  # fmt: skip
        for name in bars_of(measurement):
            place += 1
            draw_bar(axes, place, measurement, name)
            ticks.append((place, measurement.of(name).title))  # type: ignore[union-attr]
        place += 1.4
    axes.axvline(1, color=COLOURS["minicnn"], linewidth=1, zorder=1.5)  # over bars, under text
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=8.5, color=INK)
    axes.set_xlim(0, LONGEST + 0.75)
    axes.set_xticks([0, 0.5, 1, 1.5, 2, 2.5])
    axes.set_ylim(place - 0.6, -0.8)  # downwards
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)


def draw_bar(axes: Axes, place: float, measurement: Measurement, name: str) -> None:
    """Draw one bar with its ratio and its milliseconds."""
    times = measurement.of(name)
    assert times
    ratio = ratios(times.seconds, measurement.times[0].seconds)
    length = min(ratio.median, LONGEST)
    cut = ratio.median > LONGEST
    axes.barh(place, length, height=0.8, color=COLOURS[name])
    if not cut:
        axes.errorbar(
            ratio.median, place, xerr=[[ratio.median - ratio.lower], [ratio.upper - ratio.median]],
            color=INK, linewidth=1, capsize=2,
        )  # fmt: skip
    label = f"{'→ ' if cut else ''}{ratio.median:.2f}  ({1e3 * spread(times.measured).median:.0f} ms)"
    end = length if cut else max(ratio.median, ratio.upper)
    axes.text(end + 0.06, place, label, va="center", fontsize=8, color=INK, bbox=ON_WHITE)
