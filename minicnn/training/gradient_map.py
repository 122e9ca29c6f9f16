"""The heat map of a watched run: gradients, layer by step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

INK = "#222222"


def draw_gradient_map(records: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw how large each layer's gradient is, and how much of it comes from the auxiliary heads.

    Parameters
    ----------
    records : sequence of dict
        The objects of gradients.jsonl, at least one.
    path : Path
        A PNG file, replaced at once.
    title : str
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure

    layers = list(records[0]["layers"])
    ratios = _table(records, layers, lambda row: row["gradient_to_weight"])
    shares = _table(records, layers, share_of_heads)
    figure = Figure(figsize=(13, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    figure.suptitle(title, x=0.01, ha="left", fontsize=15, fontweight="bold", color=INK)

    visible = ratios[np.isfinite(ratios) & (ratios > 0)]
    low, high = (np.quantile(visible, [0.01, 0.99])) if visible.size else (0.1, 1.0)
    steps = _edges([record["step"] for record in records])
    magnitudes = LogNorm(low, max(high, 1.001 * low))
    for axes, values, scale, name in (
        (left, np.where(ratios > 0, ratios, np.nan), magnitudes, "gradient / weight"),
        (right, 100 * shares, Normalize(0, 100), "share of the auxiliary heads, %"),
    ):
        axes.set_facecolor("#bbbbbb")  # where there is nothing to show
        mesh = axes.pcolormesh(steps, np.arange(len(layers) + 1), values, norm=scale, cmap="cividis")
        bar = figure.colorbar(mesh, ax=axes, extend="both" if axes is left else "neither")
        bar.set_label(name, fontsize=12, color=INK)
        bar.ax.tick_params(labelsize=11)
        axes.set_xlabel("step", fontsize=12, color=INK)
        axes.tick_params(labelsize=11)
    left.set_title("relative size of the gradient (norms)", loc="left", fontsize=13, color=INK)
    right.set_title("what comes from aux1 and aux2", loc="left", fontsize=13, color=INK)
    _label_blocks([left, right], layers)
    left.set_ylabel("layer, from the image (top) to the classifier", fontsize=12, color=INK)

    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png", facecolor="white")
    temporary.replace(path)


def share_of_heads(row: Mapping[str, float | None]) -> float | None:
    """Give the norms of what comes from the auxiliary heads as a part of the norms of all parts.

    Examples
    --------
    >>> share_of_heads({"main": 2.0, "aux1": 1.0, "aux2": 1.0})
    0.5
    """
    main, aux1, aux2 = row["main"], row["aux1"], row["aux2"]
    if main is None or aux1 is None or aux2 is None or main + aux1 + aux2 == 0:
        return None
    return (aux1 + aux2) / (main + aux1 + aux2)


def _table(
    records: Sequence[Mapping[str, Any]],
    layers: Sequence[str],
    figure_of: Callable[[Mapping[str, float | None]], float | None],
) -> np.ndarray:
    """Return an array (layers, recordings), with NaN for what is missing."""
    rows = [[figure_of(record["layers"][layer]) for record in records] for layer in layers]
    return np.array([[np.nan if value is None else value for value in row] for row in rows], np.float64)


def _edges(steps: Sequence[int]) -> np.ndarray:
    """Return where each recording's column begins, and where the last one ends."""
    width = steps[-1] - steps[-2] if len(steps) > 1 else 1
    return np.array([*steps, steps[-1] + width])


def _label_blocks(columns: Sequence[Any], layers: Sequence[str]) -> None:
    """Name the modules beside their rows, as far as there is room, and draw a line between them."""
    groups = [
        (name, len(list(rows))) for name, rows in itertools.groupby(layers, lambda n: n.partition(".")[0])
    ]
    ends = np.cumsum([count for _, count in groups])
    middles = [end - count / 2 for end, (_, count) in zip(ends, groups, strict=True)]
    ticks: list[tuple[float, str]] = []
    for middle, (name, _) in zip(middles, groups, strict=True):
        if not ticks or middle - ticks[-1][0] >= len(layers) / 40:
            ticks.append((middle, name.removeprefix("inception") or name))
    for axes in columns:
        axes.set_yticks([place for place, _ in ticks], [name for _, name in ticks])
        axes.tick_params(axis="y", length=0)
        for end in ends[:-1]:
            axes.axhline(end, color="white", linewidth=0.8)
    columns[0].set_ylim(len(layers), 0)
