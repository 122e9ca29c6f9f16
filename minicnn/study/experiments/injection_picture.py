"""The picture of the injection experiment: gradient over depth, with heads and without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.study.flow_picture import INK, label_blocks, new_figure, positive, save, tidy

# With heads, without: by colour, marker and line, so that no colour vision is needed.
LOOKS: dict[bool, dict[str, Any]] = {
    True: {"color": "#d55e00", "marker": "s", "linestyle": "-"},
    False: {"color": "#0b4f8a", "marker": "o", "linestyle": (0, (4, 2))},
}


def draw_injection(
    blocks: Sequence[str],
    panels: Mapping[str, Sequence[tuple[bool, bool, Sequence[Sequence[float]]]]],
    path: Path,
) -> None:
    """Draw a row of panels for each activation: at initialisation, and after training.

    Parameters
    ----------
    blocks : sequence of str
        Names along the depth.
    panels : mapping of str to sequence
        For each activation (heads, trained, curves), with a curve for each seed.
    path : Path
        A PNG file, replaced at once.
    """
    moments = sorted({trained for cases in panels.values() for _, trained, _ in cases})
    figure = new_figure(12.5, 1.2 + 3.3 * len(panels))
    grid = figure.subplots(len(panels), len(moments), sharex=True, sharey="row", squeeze=False)
    figure.suptitle(
        "Does gradient reach the first layers, and do the heads help?",
        x=0.01, ha="left", fontsize=16, fontweight="bold", color=INK,
    )  # fmt: skip
    for row, (activation, cases) in zip(grid, panels.items(), strict=True):
        for heads, trained, curves in cases:
            axes = row[moments.index(trained)]
            logs = np.log([positive(curve) for curve in curves])  # (seeds, blocks)
            look = LOOKS[heads]
            places = np.arange(len(blocks))
            middle = np.exp(logs.mean(axis=0))
            axes.plot(
                places, middle, linewidth=2.2, markersize=7,
                label="with heads" if heads else "without heads", **look,
            )  # fmt: skip
            axes.fill_between(
                places, np.exp(logs.min(axis=0)), np.exp(logs.max(axis=0)),
                color=look["color"], alpha=0.18, linewidth=0,
            )  # fmt: skip
        for trained, axes in zip(moments, row, strict=True):
            when = "after training" if trained else "at initialisation"
            axes.set_title(f"{activation}, {when}", loc="left", fontsize=13, color=INK)
            axes.set_yscale("log")
            label_blocks(axes, blocks, crowded=True)
            for head in ("inception4a", "inception4d"):
                if head in blocks:
                    axes.axvline(blocks.index(head), color="#888888", linewidth=1, linestyle=":")
            tidy(axes)
        row[0].set_ylabel("gradient of a weight\n(root mean square)", fontsize=12, color=INK)
    grid[0][0].legend(frameon=False, fontsize=12)
    for axes in grid[-1]:
        axes.set_xlabel("depth; dotted: where heads are attached; band: all seeds", fontsize=12, color=INK)
    save(figure, path)
