"""The pictures of `minicnn look`: one file for each thing to see, and all of them on one page.

Colours are those of cividis, made to be read with any colour vision and in grey print, and Grad-CAM has
contour lines besides. Nothing depends on telling red from green.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minicnn.study.looking.filters import filter_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#333333"
PALE = "#9aa3ab"
BLUE = "#0b4f8a"
COLOURS = "cividis"
CONTOURS = (0.25, 0.5, 0.75)  # of the highest value of a map
_LINES = (0.8, 1.1, 1.5)  # their widths, in points
PIXELS = 6  # of the picture, for one weight of a filter
BEST = 5  # classes
DPI = 150


class LayerMap(NamedTuple):
    """Grad-CAM of one layer.

    Attributes
    ----------
    layer : str
        Path of its module.
    size : (int, int)
        Height and width of the layer's own maps.
    values : array of shape (H, W)
        Enlarged to the image, at least 0, in logits.
    """

    layer: str
    size: tuple[int, int]
    values: npt.NDArray[np.floating]


@dataclass(frozen=True)
class Look:
    """What there is to draw of one image.

    Attributes
    ----------
    title : str
        Names image and network.
    image : uint8 array of shape (H, W, 3)
        As the network sees it.
    class_names : sequence of str
    probabilities : array of shape (classes,)
    label : int
        The class that is explained.
    saliency : array of shape (H, W)
        In logits per grey level.
    cam : LayerMap
        Of the layer that was asked for.
    other_depths : sequence of LayerMap
        Of further layers, first to last.
    filters : array of shape (CO, KH, KW, 3)
        As `first_filters` gives them.
    """

    title: str
    image: npt.NDArray[np.uint8]
    class_names: Sequence[str]
    probabilities: npt.NDArray[np.floating]
    label: int
    saliency: npt.NDArray[np.floating]
    cam: LayerMap
    other_depths: Sequence[LayerMap]
    filters: npt.NDArray[np.floating]

    @property
    def explained(self) -> str:
        """Name of the class that is explained."""
        return str(self.class_names[self.label])


def draw_look(look: Look, folder: str | Path) -> list[Path]:
    """Draw the pictures into a folder, which is made if need be; files that are there are replaced.

    Parameters
    ----------
    look : Look
    folder : str or Path

    Returns
    -------
    list of Path
        look.png, which has everything, then the single ones: image.png, classes.png, saliency.png,
        grad_cam.png, depths.png, filters.png.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    single: dict[str, Callable[[Axes, Look], None]] = {
        "image": _draw_image,
        "classes": _draw_classes,
        "saliency": _draw_saliency,
        "grad_cam": _draw_cam,
        "filters": _draw_filters,
    }
    written = [_write(_all_on_one_page(look), folder / "look.png")]
    for name, draw in single.items():
        figure = _figure(4.6, 4.4)
        draw(figure.add_subplot(), look)
        written.append(_write(figure, folder / f"{name}.png"))
    depths = sorted([*look.other_depths, look.cam], key=lambda depth: math.prod(depth.size), reverse=True)
    figure = _figure(3.7 * len(depths), 4.0)
    for place, at_depth in enumerate(depths, start=1):
        _draw_overlay(figure.add_subplot(1, len(depths), place), look, at_depth)
    figure.suptitle(f"Grad-CAM for '{look.explained}', from fine to coarse", **_HEADLINE)
    written.append(_write(figure, folder / "depths.png"))
    return written


_HEADLINE: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": 13, "fontweight": "bold", "color": INK}


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not through pyplot: it would choose a window system and keep figures alive.
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Figure, path: Path) -> Path:
    temporary = path.with_name(path.name + ".tmp")  # so that a viewer never sees half a picture
    figure.savefig(temporary, format="png", facecolor="white")
    temporary.replace(path)
    return path


def _all_on_one_page(look: Look) -> Figure:
    columns = max(4, len(look.other_depths) + 1)
    figure = _figure(3.7 * columns, 8.1)
    figure.suptitle(look.title, **_HEADLINE)
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.08)
    grid = figure.add_gridspec(2, columns)
    for place, draw in enumerate((_draw_image, _draw_classes, _draw_saliency, _draw_cam)):
        draw(figure.add_subplot(grid[0, place]), look)
    _draw_filters(figure.add_subplot(grid[1, 0]), look)
    for place, at_depth in enumerate(look.other_depths, start=1):
        _draw_overlay(figure.add_subplot(grid[1, place]), look, at_depth)
    return figure


# ---- the panels -------------------------------------------------------------------------------------


def _draw_image(axes: Axes, look: Look) -> None:
    H, W, _ = look.image.shape
    axes.imshow(look.image, interpolation="nearest")
    _frame(axes, "what the network sees", f"{H}x{W} pixels")


def _draw_classes(axes: Axes, look: Look) -> None:
    best = [int(c) for c in np.argsort(-look.probabilities, kind="stable")[:BEST]]
    if look.label not in best:
        best[-1] = look.label
    percent = [100 * float(look.probabilities[c]) for c in best]
    colours = [BLUE if c == look.label else PALE for c in best]
    axes.barh(range(len(best)), percent, color=colours, height=0.5)
    for place, (c, value) in enumerate(zip(best, percent, strict=True)):
        name = str(look.class_names[c])
        weight = "bold" if c == look.label else "normal"
        text = f"{_cut(name)}  {value:.1f}%"
        axes.text(0, place - 0.33, text, va="bottom", fontsize=10, color=INK, fontweight=weight)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(best) - 0.5, -0.75)
    axes.set_yticks([])
    axes.set_box_aspect(1)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
    axes.tick_params(colors=INK, labelsize=9)
    axes.set_xlabel("probability, %; dark: the class explained here", fontsize=9, color=INK)
    axes.set_title("what it says", loc="left", fontsize=11, color=INK)


def _draw_saliency(axes: Axes, look: Look) -> None:
    highest = float(look.saliency.max())
    axes.imshow(look.saliency, cmap=COLOURS, vmin=0, vmax=highest or 1, interpolation="nearest")
    _frame(axes, f"saliency for '{_cut(look.explained)}'", "max over colours of |∂ logit / ∂ grey level|")
    _scale(axes, highest, ())


def _draw_cam(axes: Axes, look: Look) -> None:
    _draw_overlay(axes, look, look.cam)


def _draw_overlay(axes: Axes, look: Look, at_depth: LayerMap) -> None:
    from matplotlib.patheffects import Normal, Stroke

    h, w = at_depth.size
    grey = look.image @ np.array([0.299, 0.587, 0.114])  # as bright as it looks: colour is for the map
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    highest = float(at_depth.values.max())
    title = f"Grad-CAM at {at_depth.layer}"
    if highest <= 0:
        _frame(axes, title, f"{h}x{w} maps; nothing speaks for '{_cut(look.explained)}'")
        return
    share = at_depth.values / highest
    axes.imshow(share, cmap=COLOURS, vmin=0, vmax=1, alpha=0.6, interpolation="nearest")
    lines = axes.contour(share, levels=CONTOURS, colors="white", linewidths=_LINES)
    lines.set_path_effects([Stroke(linewidth=2.6, foreground="#222222"), Normal()])
    _frame(axes, title, f"{h}x{w} maps, enlarged; for '{_cut(look.explained)}', in logits")
    _scale(axes, highest, CONTOURS)


def _draw_filters(axes: Axes, look: Look) -> None:
    CO, KH, KW, _ = look.filters.shape
    largest = float(np.abs(look.filters).max())
    enlarged = look.filters.repeat(PIXELS, axis=1).repeat(PIXELS, axis=2)  # thin lines between them
    axes.imshow(filter_grid(enlarged), interpolation="nearest")
    caption = f"one scale for all: black {-largest:.2g}, grey 0, white {largest:.2g}"
    _frame(axes, f"the {CO} filters of the first layer, {KH}x{KW}", caption)
    axes.spines[:].set_visible(False)


def _frame(axes: Axes, title: str, caption: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(caption, fontsize=9, color=INK, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#999999")


def _scale(axes: Axes, highest: float, lines: Sequence[float]) -> None:
    """Draw the colours from 0 to `highest` beside a panel, with its contour lines."""
    bar = axes.inset_axes((1.03, 0, 0.04, 1))
    bar.imshow(
        np.linspace(0, 1, 256)[:, None], cmap=COLOURS, aspect="auto", origin="lower", extent=(0, 1, 0, 1)
    )
    for height, width in zip(lines, _LINES, strict=False):
        bar.axhline(height, color="#222222", linewidth=2.6)
        bar.axhline(height, color="white", linewidth=width)
    heights = (0, *(lines or (0.5,)), 1)
    bar.set_yticks(heights, [f"{height * highest:.2g}" for height in heights])
    bar.yaxis.tick_right()
    bar.set_xticks([])
    bar.tick_params(length=2, colors=INK, labelsize=8)
    bar.spines[:].set_visible(False)


def _cut(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"
