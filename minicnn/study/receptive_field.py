"""Which part of the image an activation sees, followed op by op.

An activation sees `size` pixels of the image, vertically and horizontally, and its neighbour sees as many,
`step` pixels further on. At the start size = step = 1. A window of K places at stride S gathers K
activations, step apart:

    size' = size + (K - 1) * step
    step' = step * S

Where branches meet (concat, add), the result sees what the branch that sees most does. A linear layer and
an average over the whole image see everything.

Sizes are those of the formula, border or no border: deep in a network they exceed the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minicnn.shapes import Window
from minicnn.tensor import Function, Tensor

Pair = tuple[int, int]

# Ops that only move activations: each sees afterwards what it saw before.
_MOVES = {"reshape", "transpose", "getitem"}


@dataclass(frozen=True)
class Field:
    """What one activation sees of an image.

    Attributes
    ----------
    size : (int, int)
        Pixels, vertically and horizontally.
    step : (int, int) or None
        Pixels from one activation to the next; None if activations no longer lie side by side as they
        do in the image, so that a window over them means nothing.
    everything : bool
        Whether it sees the whole image by construction.
    """

    size: Pair
    step: Pair | None
    everything: bool = False

    def through(self, window: Window) -> Field | None:
        """Return the field after a window has passed over; None if it cannot be told."""
        if self.everything:
            return self
        if self.step is None:
            return None
        (h, w), (down, across) = self.size, self.step
        size = (h + (window.KH - 1) * down, w + (window.KW - 1) * across)
        return Field(size, (down * window.SH, across * window.SW))


def field_of_image(shape: tuple[int, ...]) -> Field | None:
    """Return the field of the pixels of images (N, H, W, C); None if the input is no such batch."""
    return Field((1, 1), (1, 1)) if len(shape) == 4 else None


def field_after(
    function: Function, inputs: Sequence[tuple[Tensor, Field | None]], output: Tensor, images: tuple[int, ...]
) -> Field | None:
    """Return what the output of an op sees, given what its inputs see; None if it cannot be told.

    Parameters
    ----------
    function : Function
        The op.
    inputs : sequence of (Tensor, Field or None)
        Those of its inputs that depend on the images, and what they see.
    output : Tensor
        What it returned.
    images : tuple of int
        Shape of the images, (N, H, W, C).
    """
    known = [field for _, field in inputs if field is not None]
    if len(known) < len(inputs) or not known:
        return None
    field = _union(known)
    tensors = [t for t, _ in inputs]
    window = getattr(function, "window", None)
    if isinstance(window, Window):
        return field.through(window)
    if _combines_everything(function, tensors, images):
        return Field((images[1], images[2]), (0, 0), everything=True)
    if function.name in _MOVES:
        return Field(field.size, None, field.everything)
    if field.everything or field.step is None:
        return field
    return field if any(t.shape[1:3] == output.shape[1:3] for t in tensors) else None


def _union(fields: Sequence[Field]) -> Field:
    """Return the field of an activation made of several, one from each branch."""
    size = (max(f.size[0] for f in fields), max(f.size[1] for f in fields))
    steps = {f.step for f in fields}
    return Field(size, steps.pop() if len(steps) == 1 else None, any(f.everything for f in fields))


def _combines_everything(function: Function, inputs: Sequence[Tensor], images: tuple[int, ...]) -> bool:
    """Tell whether each output is made of all activations of an image."""
    match function.name:
        case "global_avg_pool2d":
            return True
        case "linear" | "matmul":  # with more rows than images, a row is not a whole image
            return inputs[0].ndim == 2 and len(inputs[0]) == images[0]
        case "sum" | "mean" | "max":
            return {1, 2} <= set(getattr(function, "axes", ())) and inputs[0].ndim == 4
    return False
