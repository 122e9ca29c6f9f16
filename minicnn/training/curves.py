"""The picture of a run: loss, accuracy and learning rate over epochs, for all three heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Distinguishable with any colour vision (Okabe and Ito 2008), and by brightness too.
COLOURS = {"main": "#0b4f8a", "aux1": "#d55e00", "aux2": "#009e73"}
INK = "#333333"


def draw_curves(
    rows: Sequence[Mapping[str, Any]],
    path: Path,
    title: str,
    num_classes: int,
    rates: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Draw the curves of a run and write them to a PNG file.

    Parameters
    ----------
    rows : list of dict
        The objects of metrics.jsonl, at least one.
    path : Path
        Written through a temporary file, so that a viewer never sees half a picture.
    title : str
    num_classes : int
        Says what guessing would give.
    rates : (epochs, rates), default=None
        The learning rate as a fine curve; None draws the rates of the rows.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not through pyplot: it would choose a window system and keep figures alive.
    figure = Figure(figsize=(11, 5.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    loss_axes, accuracy_axes = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    rate_axes = figure.add_subplot(grid[1, :])
    last = rows[-1]
    figure.suptitle(
        f"{title}: validation accuracy {last['val_accuracy']:.1%} after {len(rows)} "
        f"epoch{'s' if len(rows) > 1 else ''}",
        x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK,
    )  # fmt: skip

    _draw_heads(loss_axes, rows, "loss", 1.0, math.log(num_classes))
    _draw_heads(accuracy_axes, rows, "accuracy", 100.0, 100.0 / num_classes)
    loss_axes.set_title("cross entropy", loc="left", fontsize=11, color=INK)
    accuracy_axes.set_title("accuracy, %", loc="left", fontsize=11, color=INK)

    if rates is None:  # one rate for each epoch: a flight of steps
        lr = [row["lr"] for row in rows]
        epochs, values = np.arange(len(rows) + 1), np.array([lr[0], *lr])
        rate_axes.step(epochs, values, where="pre", color=INK, linewidth=1.4)
        rate_axes.fill_between(epochs, values, step="pre", color=INK, alpha=0.08, linewidth=0)
    else:
        epochs, values = rates
        rate_axes.plot(epochs, values, color=INK, linewidth=1.4)
        rate_axes.fill_between(epochs, values, color=INK, alpha=0.08, linewidth=0)
    rate_axes.set_title("learning rate", loc="left", fontsize=11, color=INK)
    rate_axes.set_ylim(0, 1.1 * values.max())
    for axes in (loss_axes, accuracy_axes, rate_axes):
        axes.set_xlim(0, last["epoch"])
        axes.set_xlabel("epoch", color=INK)
        _tidy(axes)

    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png", facecolor="white")
    temporary.replace(path)


def _draw_heads(
    axes: Axes, rows: Sequence[Mapping[str, Any]], measure: str, scale: float, guessing: float
) -> None:
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) <= 3 else ""  # two or three points make no curve
    ends: list[tuple[float, str, str]] = []  # (value, name, colour) of every line's end
    axes.axhline(guessing, color=INK, linewidth=1.0, linestyle=(0, (1, 2)))
    for head, colour in COLOURS.items():
        name = "" if head == "main" else f"_{head}"
        if rows[0][f"train{name}_{measure}"] is None:
            continue
        width = 2.4 if head == "main" else 1.4
        train = [scale * row[f"train{name}_{measure}"] for row in rows]
        val = [scale * row[f"val{name}_{measure}"] for row in rows]
        line: dict[str, Any] = {"color": colour, "marker": marker, "clip_on": False}
        axes.plot(epochs, train, linewidth=0.6 * width, linestyle=(0, (3, 2)), markersize=4, **line)
        axes.plot(epochs, val, linewidth=width, markersize=6, **line)
        ends.append((train[-1], f"{head} training", colour))
        ends.append((val[-1], f"{head} validation", colour))
    ends.append((guessing, "guessing", INK))
    axes.set_ylim(0, 1.04 * max(*axes.dataLim.intervaly, guessing))
    _label_ends(axes, epochs[-1], ends, "{:.2f}" if scale == 1.0 else "{:.1f}")


def _label_ends(axes: Axes, x: float, ends: Sequence[tuple[float, str, str]], number: str) -> None:
    """Write each line's name and last value beside its end, moved apart where names would overlap."""
    top = axes.get_ylim()[1]
    heights = spread([value / top for value, _, _ in ends], gap=0.062)
    for (value, name, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            f"{name} {number.format(value)}",
            xy=(x, value), xycoords="data", xytext=(1.07, height), textcoords="axes fraction",
            va="center", fontsize=8.5, color=colour,
            fontweight="bold" if name == "main validation" else "normal",
            arrowprops={
                "arrowstyle": "-", "color": colour, "linewidth": 0.6, "alpha": 0.6,
                "relpos": (0, 0.5), "shrinkA": 0, "shrinkB": 2,
            },
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights in 0 ... 1 apart until neighbours are `gap` away from each other, keeping their order.

    Examples
    --------
    >>> [round(height, 2) for height in spread([0.5, 0.5, 0.9], gap=0.1)]
    [0.45, 0.55, 0.9]
    """
    order = np.argsort(np.asarray(heights), kind="stable")
    # Subtracting what order alone demands turns "at least gap apart" into "never falling", whose closest
    # solution in the sense of least squares merges falling neighbours into their mean.
    blocks: list[tuple[float, int]] = []  # (mean, count)
    for place, index in enumerate(order):
        mean, count = heights[index] - place * gap, 1
        while blocks and blocks[-1][0] > mean:
            other_mean, other_count = blocks.pop()
            mean = (mean * count + other_mean * other_count) / (count + other_count)
            count += other_count
        blocks.append((mean, count))
    level = [mean for mean, count in blocks for _ in range(count)]
    top = 1.0 - (len(heights) - 1) * gap
    moved = [0.0] * len(heights)
    for place, index in enumerate(order):
        moved[index] = float(min(max(level[place], 0.0), top) + place * gap)
    return moved


def _tidy(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
