"""Arrays as small pictures: PNG, a palette of 253 colours, two for the hatch, and one that is transparent.

Values are grey, from the smallest (black) to the largest (white). Gradients have a sign, and so two colours
that colour-blind readers can tell apart: blue below zero, orange above, white at zero. What is not finite is
checked in black and yellow, and does not change the scale of the rest. What is lost in a picture is lost in
the picture only; the numbers beside it are the engine's.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

TILE = 32  # pixels along the longer side of one channel
GAP = 2
CHANNELS = 8  # how many are shown
MATRIX = 96  # largest side of the picture of a matrix

TRANSPARENT = 255
NOT_FINITE = 254  # drawn in checks: this one, yellow, and BLACK by turns
BLACK = 253
LARGEST = 252
ZERO = LARGEST // 2
YELLOW = (240, 228, 66)

Levels = npt.NDArray[np.uint8]


class Pictures:
    """Collects pictures; equal ones are kept once.

    Attributes
    ----------
    uris : list of str
        Each picture as a data URI.
    """

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._places: dict[bytes, int] = {}

    def add(self, levels: Levels, signed: bool) -> int:
        """Take in a picture of palette indices (H, W); return its place."""
        levels = np.where((levels == NOT_FINITE) & _checks(levels.shape), np.uint8(BLACK), levels)
        key = bytes([signed]) + repr(levels.shape).encode() + levels.tobytes()
        if key not in self._places:
            self._places[key] = len(self.uris)
            self.uris.append(_uri(levels, signed))
        return self._places[key]

    def add_colours(self, image: np.ndarray) -> int:
        """Take in an image (H, W, 3) of any range; return its place."""
        from PIL import Image

        finite = np.isfinite(image)
        numbers = np.where(finite, image, 0.0).astype(np.float64)
        low, high = _range(image)
        pixels = ((numbers - low) * (255 / ((high - low) or 1.0))).round().clip(0, 255).astype(np.uint8)
        factor = max(1, 2 * TILE // max(pixels.shape[:2]))
        pixels, lost = _enlarge(pixels, factor), _enlarge(~finite.all(axis=2), factor)
        pixels[lost] = YELLOW
        pixels[lost & _checks(lost.shape)] = 0
        self.uris.append(_data_uri(Image.fromarray(pixels)))
        return len(self.uris) - 1


def strip(images: np.ndarray, signed: bool, limit: float | None = None) -> Levels:
    """Draw channels side by side.

    Parameters
    ----------
    images : array of shape (H, W, C)
    signed : bool
        Whether zero is the middle of the palette.
    limit : float, optional
        With `signed`, the absolute value of the strongest colour; left out, the largest there is.

    Returns
    -------
    uint8 array of palette indices

    Examples
    --------
    >>> strip(np.array([[[0.0, 1.0]]]), signed=True).shape
    (32, 66)
    """
    small = reduced(images, TILE)
    H, W, C = small.shape
    levels = quantised(small, signed, limit)
    factor = max(1, TILE // max(H, W))
    tiles = []
    for channel in range(C):
        if channel:
            tiles.append(np.full((H * factor, GAP), TRANSPARENT, np.uint8))
        tiles.append(_enlarge(levels[:, :, channel], factor))
    return np.concatenate(tiles, axis=1)


def matrix(values: np.ndarray, signed: bool, limit: float | None = None) -> Levels:
    """Draw a matrix, or a vector as rows of cells, so that it fits into MATRIX pixels.

    Examples
    --------
    >>> matrix(np.zeros((3, 1000)), signed=True).shape[1] <= 2 * MATRIX
    True
    """
    if values.ndim == 1:
        columns = min(len(values), 32)
        rows = -(-len(values) // columns)
        cells = np.full(rows * columns, TRANSPARENT, np.uint8)
        cells[: len(values)] = quantised(values, signed, limit)
        levels: Levels = cells.reshape(rows, columns)
    else:
        levels = quantised(reduced(values[:, :, None], MATRIX)[:, :, 0], signed, limit)
    return _enlarge(levels, max(1, min(16, MATRIX // max(levels.shape))))


def quantised(values: np.ndarray, signed: bool, limit: float | None = None) -> Levels:
    """Turn values into palette indices 0 to 252; with `signed`, 126 is zero. 254 is what is not finite.

    Examples
    --------
    >>> quantised(np.array([-1.0, 0.0, 0.5]), signed=True).tolist()
    [0, 126, 189]
    >>> quantised(np.array([2.0, np.nan, 3.0, np.inf]), signed=False).tolist()
    [0, 254, 252, 254]
    """
    finite = np.isfinite(values)
    numbers = np.where(finite, values, 0.0).astype(np.float64)
    if signed:
        limit = limit or largest_finite(values) or 1.0
        scaled = np.clip(numbers / limit, -1, 1) * ZERO + ZERO
    else:
        low, high = _range(values)
        span = (high - low) or 1.0
        scaled = np.clip((numbers - low) / span, 0, 1) * LARGEST
    return np.where(finite, np.rint(scaled), NOT_FINITE).astype(np.uint8)


def largest_finite(values: np.ndarray) -> float:
    """Return the largest absolute value among those that are finite.

    Examples
    --------
    >>> largest_finite(np.array([1.0, -2.0, np.inf, np.nan]))
    2.0
    """
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _range(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest of the values that are finite; 0 and 0 if none is."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def strongest(values: np.ndarray, slices: Sequence[tuple[int, int]] = ()) -> list[int]:
    """Choose the channels with the largest norm, in order; some of each slice if there are slices.

    Examples
    --------
    >>> strongest(np.array([[[0.0, 3.0, 1.0]]]), [(0, 1), (1, 3)])
    [0, 1, 2]
    """
    channels = values.shape[-1]
    flat = values.reshape(-1, channels).astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        norms = np.nan_to_num(np.einsum("ij,ij->j", flat, flat), nan=np.inf)
    parts = [*slices] or [(0, channels)]
    each = max(1, CHANNELS // len(parts))
    chosen: list[int] = []
    for start, stop in parts[:CHANNELS]:
        order = np.argsort(-norms[start:stop], kind="stable")[:each]
        chosen.extend(sorted(int(start + place) for place in order))
    return chosen


def reduced(images: np.ndarray, largest: int) -> np.ndarray:
    """Average blocks of pixels until (H, W, C) is at most `largest` pixels high and wide."""
    H, W, _ = images.shape
    step = -(-max(H, W) // largest)
    if step == 1:
        return images
    with np.errstate(all="ignore"):
        rows = np.add.reduceat(images.astype(np.float64, copy=False), np.arange(0, H, step), axis=0)
        both = np.add.reduceat(rows, np.arange(0, W, step), axis=1)
    heights = np.diff([*range(0, H, step), H])
    widths = np.diff([*range(0, W, step), W])
    return both / (heights[:, None, None] * widths[None, :, None])


def _enlarge(pixels: np.ndarray, factor: int) -> np.ndarray:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _checks(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return a chessboard whose fields are two pixels wide."""
    return np.add.outer(np.arange(shape[0]) // 2, np.arange(shape[1]) // 2) % 2 == 1


def _palette(signed: bool) -> bytes:
    levels = np.arange(256)
    if not signed:
        colours = np.repeat((levels * (255 / LARGEST)).clip(0, 255)[:, None], 3, axis=1)
        return _with_checks(colours)
    blue, white, orange = np.array([5, 80, 160]), np.array([250, 250, 250]), np.array([190, 80, 0])
    share = ((levels - ZERO) / ZERO).clip(-1, 1)[:, None]
    strength = np.abs(share) ** 0.7  # lifts what is weak: most gradients are
    colours = white + strength * (np.where(share < 0, blue, orange) - white)
    return _with_checks(colours)


def _with_checks(colours: np.ndarray) -> bytes:
    colours[NOT_FINITE], colours[BLACK] = YELLOW, 0
    return colours.round().astype(np.uint8).tobytes()


def _uri(levels: Levels, signed: bool) -> str:
    from PIL import Image

    image = Image.fromarray(levels)
    image.putpalette(_palette(signed))
    return _data_uri(image, transparency=TRANSPARENT)


def _data_uri(image: Image.Image, **options: int) -> str:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=False, **options)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
