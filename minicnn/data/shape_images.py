"""The embedded data set: coloured shapes on cluttered backgrounds, drawn on the fly.

It needs no download, and everything about it is known: class, size, position, rotation. Sizes vary almost
fourfold, so that branches with different receptive fields have different things to do. Colours say nothing
about the class, and no pixel alone does, so that a linear classifier does badly.

How hard it is was chosen for networks without batch normalisation, which learn an invariance slowly: shapes
are always brighter than what lies behind them, and turned by 45 degrees at most. With dark shapes among the
bright ones and full turns, a plain network of six convolutions still guessed after five epochs; as it is, it
was right nine times in ten.
"""

from __future__ import annotations

import math
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from minicnn.data.outlines import OUTLINES
from minicnn.errors import DataError
from minicnn.random import Stream, counter_generator
from minicnn.shapes import integer

SHAPE_CLASS_NAMES = tuple(OUTLINES)
SMALLEST_SHAPE, LARGEST_SHAPE = 8.0, 30.0  # diameters, in pixels

SIDE = 32  # pixels
BLOCK = 100  # images drawn together, equally many of every class
STROKES = 3  # in every background
SPLITS = ("train", "test")

Floats = npt.NDArray[np.floating]  # float32 throughout
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@overload
def load_shapes(
    n: int, seed: int = 0, return_sizes: Literal[False] = False, split: Literal["train", "test"] = "train"
) -> tuple[Images, Labels]: ...
@overload
def load_shapes(
    n: int, seed: int = 0, *, return_sizes: Literal[True], split: Literal["train", "test"] = "train"
) -> tuple[Images, Labels, Floats]: ...
def load_shapes(
    n: int, seed: int = 0, return_sizes: bool = False, split: Literal["train", "test"] = "train"
) -> tuple[Images, Labels] | tuple[Images, Labels, Floats]:
    """Draw the first `n` images of the embedded data set.

    One shape of ten classes lies on a darker background with a gradient and a few thin strokes; colours,
    size, position and rotation (by up to 45 degrees) are random. Noise lies over everything.

    Parameters
    ----------
    n : int
        How many. Image i is the same whatever n is.
    seed : int, default=0
        Another seed gives another data set of the same kind.
    return_sizes : bool, default=False
        Whether to tell how large the shapes are.
    split : {"train", "test"}, default="train"
        Two data sets of one seed that have nothing in common.

    Returns
    -------
    images : uint8 array of shape (n, 32, 32, 3)
        RGB.
    labels : int64 array of shape (n,)
        Indices into `SHAPE_CLASS_NAMES`; each class occurs 10 times in 100 images.
    sizes : float32 array of shape (n,), if asked for
        Diameter of the circle around the shape, 8 to 30 pixels; all octaves are equally likely.

    Raises
    ------
    ShapeError
        If `n` is no whole number of at least 1.
    DataError
        If `split` is neither of the two.

    Examples
    --------
    >>> images, labels, sizes = load_shapes(3, seed=1, return_sizes=True)
    >>> [SHAPE_CLASS_NAMES[label] for label in labels], sizes.astype(int).tolist()
    (['cross', 'square', 'square'], [27, 8, 15])
    """
    integer("load_shapes", "n", n, minimum=1)
    if split not in SPLITS:
        raise DataError(f"load_shapes: split: expected 'train' or 'test', got {split!r}")
    images = np.empty((n, SIDE, SIDE, 3), np.uint8)
    labels = np.empty(n, np.int64)
    sizes = np.empty(n, np.float32)
    for start in range(0, n, BLOCK):
        rng = counter_generator(seed, Stream.SHAPES, epoch=SPLITS.index(split), place=start // BLOCK)
        block_images, block_labels, block_sizes = _draw_block(rng)
        stop = min(start + BLOCK, n)
        images[start:stop] = block_images[: stop - start]
        labels[start:stop] = block_labels[: stop - start]
        sizes[start:stop] = block_sizes[: stop - start]
    return (images, labels, sizes) if return_sizes else (images, labels)


def _draw_block(rng: np.random.Generator) -> tuple[Images, Labels, Floats]:
    """Draw `BLOCK` images. They are painted as planes, (BLOCK, 3, SIDE, SIDE), with colours from 0 to 1."""
    labels = rng.permutation(BLOCK) % len(OUTLINES)
    octaves = math.log2(LARGEST_SHAPE / SMALLEST_SHAPE)
    sizes = SMALLEST_SHAPE * 2 ** (octaves * _uniform(rng, BLOCK))
    backgrounds = 0.3 * _uniform(rng, BLOCK, 3)
    canvas = _gradient(rng, backgrounds)
    for _ in range(STROKES):
        _add_stroke(rng, canvas)
    _add_shapes(rng, canvas, backgrounds, labels, sizes)
    strength = 2 + 6 * _uniform(rng, BLOCK, 1, 1, 1)  # in grey levels
    noise = strength * rng.standard_normal(canvas.shape, dtype=np.float32)
    pixels = np.clip(255 * canvas + noise, 0, 255).round().astype(np.uint8)
    return pixels.transpose(0, 2, 3, 1), labels, sizes


def _uniform(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.random(shape, dtype=np.float32)


def _turned(centres: Floats, angles: Floats) -> tuple[Floats, Floats]:
    """Coordinates of every pixel, (BLOCK, SIDE, SIDE) each, around `centres` (BLOCK, 2) in turned axes."""
    pixels = np.arange(SIDE, dtype=np.float32) + 0.5
    x = pixels[None, None, :] - centres[:, 0, None, None]
    y = pixels[None, :, None] - centres[:, 1, None, None]
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    return x * cos + y * sin, y * cos - x * sin


def _gradient(rng: np.random.Generator, colours: Floats) -> Floats:
    middle = np.full((BLOCK, 2), SIDE / 2, np.float32)
    along, _ = _turned(middle, 2 * math.pi * _uniform(rng, BLOCK))
    slopes = 0.4 * (_uniform(rng, BLOCK, 3) - 0.5) / SIDE
    return colours[:, :, None, None] + along[:, None] * slopes[:, :, None, None]


def _paint(canvas: Floats, distances: Floats, colours: Floats, opacity: float = 1.0) -> None:
    """Colour what is inside an outline. A pixel's centre d pixels outside is covered by about 1/2 - d."""
    coverage = opacity * np.clip(0.5 - distances, 0, 1)[:, None]
    canvas += coverage * (colours - canvas)


def _add_stroke(rng: np.random.Generator, canvas: Floats) -> None:
    """Put one stroke on every background: anything from a dot to a long line, faint."""
    u, v = _turned(SIDE * _uniform(rng, BLOCK, 2), math.pi * _uniform(rng, BLOCK))
    half_length = 10 * _uniform(rng, BLOCK, 1, 1) ** 2
    half_width = 0.4 + 0.5 * _uniform(rng, BLOCK, 1, 1)
    distances = np.hypot(np.maximum(np.abs(u) - half_length, 0), v) - half_width
    _paint(canvas, distances, _uniform(rng, BLOCK, 3, 1, 1), opacity=0.4)


def _add_shapes(
    rng: np.random.Generator, canvas: Floats, backgrounds: Floats, labels: Labels, sizes: Floats
) -> None:
    # A large shape has little room to move; up to 15% of its diameter may lie outside the image.
    room = SIDE - 0.85 * sizes
    centres = SIDE / 2 + (_uniform(rng, BLOCK, 2) - 0.5) * room[:, None]
    u, v = _turned(centres, 0.5 * math.pi * (_uniform(rng, BLOCK) - 0.5))
    radii = sizes[:, None, None] / 2
    distances = np.empty_like(u)
    for label, outline in enumerate(OUTLINES.values()):
        chosen = labels == label
        radius = radii[chosen]
        distances[chosen] = radius * outline(u[chosen] / radius, v[chosen] / radius)
    # Brighter than the background in every channel, and as bright as can be in one.
    colours = backgrounds + (1 - backgrounds) * (0.3 + 0.7 * _uniform(rng, BLOCK, 3))
    colours[np.arange(BLOCK), rng.integers(0, 3, BLOCK)] = 1
    light = 1 + 0.01 * u
    _paint(canvas, distances, colours[:, :, None, None] * light[:, None])
