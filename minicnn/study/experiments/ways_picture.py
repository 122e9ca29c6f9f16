"""The picture of ways to train: accuracy over the epochs, and of every head at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minicnn.study.flow_picture import INK, MARKERS, new_figure, save, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By colour, and by line and place, so that no colour vision is needed.
COLOURS = ("#d55e00", "#0b4f8a", "#009e73")
LINES = ("-", (0, (4, 2)), (0, (1, 1.5)))


def draw_ways(
    question: str,
    curves: Mapping[str, Sequence[Sequence[float]]],
    at_end: Mapping[tuple[str, str], Sequence[float]],
    path: Path,
) -> None:
    """Draw two panels.

    Parameters
    ----------
    question : str
        The title.
    curves : mapping of str to sequence
        For each way to train, validation accuracies over the epochs in percent, a curve for each seed.
    at_end : mapping of (str, str) to sequence
        For each way and head, test accuracies in percent, one for each seed.
    path : Path
        A PNG file, replaced at once.
    """
    figure = new_figure(12.5, 5)
    left, right = figure.subplots(1, 2, sharey=True)
    figure.suptitle(question, x=0.01, ha="left", fontsize=16, fontweight="bold", color=INK)
    _draw_curves(left, curves)
    _draw_ends(right, list(curves), at_end)
    for axes in (left, right):
        tidy(axes)
    save(figure, path)


def _draw_curves(axes: Axes, curves: Mapping[str, Sequence[Sequence[float]]]) -> None:
    axes.set_title("main head, validation images", loc="left", fontsize=13, color=INK)
    for (way, of_seeds), colour, line in zip(curves.items(), COLOURS, LINES, strict=False):
        values = np.array(of_seeds)  # (seeds, epochs)
        epochs = np.arange(1, values.shape[1] + 1)
        axes.plot(epochs, values.mean(axis=0), color=colour, linestyle=line, linewidth=2.5, label=way)
        if len(values) > 1:
            axes.fill_between(
                epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0
            )
        axes.set_xticks(epochs)
    axes.set_ylabel("accuracy, %", fontsize=12, color=INK)
    axes.set_xlabel("epoch; line: mean, band: all seeds", fontsize=12, color=INK)
    axes.legend(frameon=False, fontsize=12, loc="lower right")


def _draw_ends(axes: Axes, ways: Sequence[str], at_end: Mapping[tuple[str, str], Sequence[float]]) -> None:
    axes.set_title("test images, after the last epoch", loc="left", fontsize=13, color=INK)
    labels = []
    for place, ((way, head), values) in enumerate(at_end.items()):
        colour = COLOURS[ways.index(way)]
        axes.plot([place] * len(values), values, MARKERS[head], color=colour, markersize=8, alpha=0.6)
        axes.hlines(np.mean(values), place - 0.3, place + 0.3, color=colour, linewidth=2.5)
        labels.append(f"{way}\n{head}")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xlabel("a mark for each seed; line: mean", fontsize=12, color=INK)
