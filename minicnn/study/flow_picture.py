"""The picture of a gradient flow: magnitude over depth, and below it which head it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minicnn.study.flow_row import FlowRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distinguishable with any colour vision (Okabe and Ito 2008), by brightness and by marker too.
COLOURS = {"main": "#0b4f8a", "aux1": "#d55e00", "aux2": "#009e73"}
MARKERS = {"main": "o", "aux1": "s", "aux2": "^"}
INK = "#222222"


def draw_flow(trunk: Sequence[FlowRow], heads: Sequence[str], path: Path, title: str) -> None:
    """Draw the blocks of a network from the image to the classifier.

    Parameters
    ----------
    trunk : sequence of FlowRow
        In network order.
    heads : sequence of str
        Those that contribute.
    path : Path
        A PNG file, replaced at once.
    title : str
    """
    figure = new_figure(11, 6.4)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1.3)})
    figure.suptitle(title, x=0.01, ha="left", fontsize=15, fontweight="bold", color=INK)
    places = np.arange(len(trunk))

    if len(heads) > 1:
        whole = [row.norm for row in trunk]
        upper.plot(places, positive(whole), color="#999999", linewidth=6, alpha=0.5, label="the whole")
    for head in heads:
        norms = [row.norms[head] for row in trunk]
        upper.plot(
            places, positive(norms), color=COLOURS[head], marker=MARKERS[head], markersize=7, linewidth=2,
            label=f"from {head}",
        )  # fmt: skip
    upper.set_yscale("log")
    upper.set_ylabel("norm of the gradient", fontsize=12, color=INK)
    upper.legend(frameon=False, fontsize=12)

    below = np.zeros(len(trunk))
    for head in heads:
        shares = np.array([100 * row.shares[head] for row in trunk])
        lower.bar(places, shares, bottom=below, color=COLOURS[head], width=0.8, edgecolor="white")
        below += shares
    lower.set_ylim(0, 100)
    lower.set_ylabel("share, %", fontsize=12, color=INK)
    label_blocks(lower, [row.layer for row in trunk])
    lower.set_xlabel("from the image (left) to the classifier (right)", fontsize=12, color=INK)
    for axes in (upper, lower):
        tidy(axes)
    save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of so many inches; not through pyplot, which would choose a window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG file through a temporary one, so that a viewer never sees half a picture."""
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png", facecolor="white")
    temporary.replace(path)


def positive(values: Sequence[float]) -> np.ndarray:
    """Turn what a logarithmic axis cannot show into gaps."""
    array = np.array(values, np.float64)
    return np.where(np.isfinite(array) & (array > 0), array, np.nan)


def label_blocks(axes: Axes, names: Sequence[str], crowded: bool = False) -> None:
    """Name the blocks below the axis; "inception4a" becomes "4a"."""
    short = [
        (name.removeprefix("inception") or name).replace("_", " " if crowded else "\n") for name in names
    ]
    axes.set_xticks(range(len(names)), short)
    if crowded or len(names) > 16:
        axes.tick_params(axis="x", labelrotation=90)


def tidy(axes: Axes) -> None:
    """Take away what carries no information."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=11)
