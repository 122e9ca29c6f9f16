"""Hypothesis strategies: images and the geometry of windows that move over them."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

# Geometry has many corners; what one example costs here is a few milliseconds.
many_examples = settings(max_examples=8 * settings().max_examples)

generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


class Geometry(NamedTuple):
    """An image size, and the arguments of a window that fits it."""

    image: tuple[int, int]
    kernel_size: tuple[int, int]
    stride: Any
    padding: Any
    ceil_mode: bool


def spelled(draw: st.DrawFn, vertical: Any, horizontal: Any) -> Any:
    """Spell a size in one of the ways that mean the same: an int where both are equal, a pair, a list."""
    if vertical == horizontal and draw(st.booleans()):
        return vertical
    return draw(st.sampled_from([tuple, list]))((vertical, horizontal))


@st.composite
def geometries(draw: st.DrawFn, pooling: bool) -> Geometry:
    """Draw windows that fit: padding up to the kernel (below it for pooling), any stride, tiny images."""
    image, kernel, strides, padding = [], [], [], []
    for _ in range(2):
        k = draw(st.integers(1, 5))
        before, after = (draw(st.integers(0, k - 1 if pooling else k)) for _ in range(2))
        kernel.append(k)
        padding.append((before, after))
        image.append(draw(st.integers(max(1, k - before - after), 6)))
        strides.append(draw(st.integers(1, 4)))
    (top, bottom), (left, right) = padding
    symmetric = top == bottom and left == right and draw(st.booleans())
    return Geometry(
        image=(image[0], image[1]),
        kernel_size=(kernel[0], kernel[1]),
        stride=None if pooling and strides == kernel else spelled(draw, *strides),
        padding=spelled(draw, top, left) if symmetric else ((top, bottom), (left, right)),
        ceil_mode=pooling and draw(st.booleans()),
    )
