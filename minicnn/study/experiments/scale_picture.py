"""The picture of the scale experiment: shares of the branches over the size of the object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minicnn.study.flow_picture import INK, new_figure, save, tidy

# By colour, marker and line, so that no colour vision is needed.
LOOKS = {
    "1x1": ("#0b4f8a", "o", "-"),
    "3x3": ("#009e73", "^", (0, (4, 2))),
    "5x5": ("#d55e00", "s", "-"),
    "pool": ("#999999", "D", (0, (1, 1.5))),
}


def draw_scale(
    edges: npt.NDArray[np.float64], panels: Mapping[str, Mapping[str, npt.NDArray[np.float64]]], path: Path
) -> None:
    """Draw a row of panels for each method, a column for each module.

    Parameters
    ----------
    edges : array of shape (bins + 1,)
        Bounds of the sizes, in pixels.
    panels : mapping of str to mapping of str to array of shape (seeds, bins, 4)
        For each method and module, the shares of the branches in percent.
    path : Path
        A PNG file, replaced at once.
    """
    middles = np.sqrt(edges[:-1] * edges[1:])
    columns = max(map(len, panels.values()))
    figure = new_figure(1.2 + 1.75 * columns, 1.1 + 2.9 * len(panels))
    grid = figure.subplots(len(panels), columns, sharex=True, sharey=True, squeeze=False)
    figure.suptitle(
        "Do larger objects use larger filters?", x=0.01, ha="left", fontsize=16, fontweight="bold", color=INK
    )
    for row, (method, modules) in zip(grid, panels.items(), strict=True):
        for axes, (module, shares) in zip(row, modules.items(), strict=True):
            for branch, (name, (colour, marker, line)) in enumerate(LOOKS.items()):
                of_branch = shares[:, :, branch]  # (seeds, bins)
                axes.fill_between(
                    middles,
                    of_branch.min(axis=0),
                    of_branch.max(axis=0),
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                )
                axes.plot(
                    middles, of_branch.mean(axis=0), color=colour, marker=marker, linestyle=line,
                    markersize=5, linewidth=2, label=name,
                )  # fmt: skip
            axes.set_title(module.removeprefix("inception"), loc="left", fontsize=13, color=INK)
            axes.set_xscale("log")
            axes.set_xticks(middles, [f"{middle:.0f}" for middle in middles], minor=False)
            axes.minorticks_off()
            tidy(axes)
        row[0].set_ylabel(f"{method}\nshare of the branch, %", fontsize=12, color=INK)
    grid[0][0].set_ylim(bottom=0)
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper right", ncols=len(names), frameon=False, fontsize=12)
    figure.supxlabel("size of the object, pixels; line: mean, band: all seeds", fontsize=12, color=INK)
    save(figure, path)
