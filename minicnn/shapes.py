"""Integers only: pairs, paddings, windows and the sizes of what they produce. No arrays here.

A *window* is what convolution and pooling have in common: a KH x KW kernel that moves over a padded
H x W image in steps of SH x SW and stops at OH x OW places.

    padded size   PH = top + H + bottom
    floor mode    OH = floor((PH - KH) / SH) + 1
    ceil mode     OH = ceil((PH - KH) / SH) + 1, less one if the last window would start at or beyond
                  top + H, that is, wholly inside the bottom padding

In ceil mode the last window may reach beyond the padded image, by `extra_bottom` rows.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import SupportsIndex, cast

from minicnn.errors import ShapeError

Size = SupportsIndex | Sequence[SupportsIndex]
Padding = SupportsIndex | Sequence[SupportsIndex] | Sequence[Sequence[SupportsIndex]]


@dataclass(frozen=True)
class Window:
    """A sliding window over an image: kernel, stride, padding, and where that leads.

    Attributes
    ----------
    H, W : int
        Size of the image, in pixels.
    KH, KW, SH, SW : int
        Kernel and stride, vertical and horizontal.
    top, bottom, left, right : int
        Padding asked for.
    OH, OW : int
        Number of places the window stops at.
    """

    H: int
    W: int
    KH: int
    KW: int
    SH: int
    SW: int
    top: int
    bottom: int
    left: int
    right: int
    OH: int
    OW: int

    @property
    def extra_bottom(self) -> int:
        """Rows by which the last window reaches beyond the padded image (ceil mode only)."""
        return max(0, (self.OH - 1) * self.SH + self.KH - (self.top + self.H + self.bottom))

    @property
    def extra_right(self) -> int:
        """Columns by which the last window reaches beyond the padded image (ceil mode only)."""
        return max(0, (self.OW - 1) * self.SW + self.KW - (self.left + self.W + self.right))

    @property
    def PH(self) -> int:
        """Rows of the padded image, those that only ceil mode needs included."""
        return self.top + self.H + self.bottom + self.extra_bottom

    @property
    def PW(self) -> int:
        """Columns of the padded image, those that only ceil mode needs included."""
        return self.left + self.W + self.right + self.extra_right

    @property
    def is_padded(self) -> bool:
        """Whether the padded image is larger than the image."""
        return (self.PH, self.PW) != (self.H, self.W)

    @property
    def is_pointwise(self) -> bool:
        """Whether every pixel is a window of its own: 1x1, stride 1, no padding."""
        return (self.KH, self.KW, self.SH, self.SW) == (1, 1, 1, 1) and not self.is_padded

    @property
    def image(self) -> tuple[slice, slice]:
        """Where the image lies inside the padded image."""
        return slice(self.top, self.top + self.H), slice(self.left, self.left + self.W)

    def of_input_gradient(self) -> Window | None:
        """Return the window whose convolution over the output gradient gives the input gradient.

        The output is padded until a kernel's first and last element can meet every output pixel that
        their input pixel contributed to. None if there is no such window: with a stride, or with more
        padding than the kernel reaches.
        """
        top, bottom = self.KH - 1 - self.top, self.KH - 1 - self.bottom
        left, right = self.KW - 1 - self.left, self.KW - 1 - self.right
        if (self.SH, self.SW) != (1, 1) or min(top, bottom, left, right) < 0:
            return None
        return Window(self.OH, self.OW, self.KH, self.KW, 1, 1, top, bottom, left, right, self.H, self.W)

    def part(self, places: slice) -> tuple[slice, Window]:
        """Return the rows of the image that some rows of places look at, and their window over these rows.

        Examples
        --------
        >>> rows, part = window("conv2d", (8, 8), kernel=3, stride=1, padding=1).part(slice(4, 8))
        >>> rows, part.H, part.top, part.bottom, part.OH
        (slice(3, 8, None), 5, 0, 1, 4)
        """
        first = places.start * self.SH - self.top
        last = (places.stop - 1) * self.SH - self.top + self.KH
        rows = slice(max(first, 0), min(last, self.H))
        padding = {"top": max(-first, 0), "bottom": max(last - self.H, 0)}
        return rows, replace(self, H=rows.stop - rows.start, OH=places.stop - places.start, **padding)

    def rows_met(self, i: int) -> tuple[slice, slice]:
        """Places p whose row i lies in the image, not in the padding, and the rows of the image they meet."""
        return _met(self.H, self.OH, self.SH, self.top, i)

    def columns_met(self, j: int) -> tuple[slice, slice]:
        """Places q whose column j lies in the image, not in the padding, and the columns they meet."""
        return _met(self.W, self.OW, self.SW, self.left, j)

    def taps(self, i: int, j: int) -> tuple[slice, slice]:
        """Pixels of the padded image that meet kernel element (i, j), one for each of the OH x OW places."""
        rows = slice(i, i + self.SH * (self.OH - 1) + 1, self.SH)
        columns = slice(j, j + self.SW * (self.OW - 1) + 1, self.SW)
        return rows, columns


def window(
    op: str,
    image: tuple[int, int],
    kernel: Size,
    stride: Size | None,
    padding: Padding,
    ceil_mode: bool = False,
) -> Window:
    """Check the arguments of a sliding window and work out its output size.

    Parameters
    ----------
    op : str
        Name for the error messages.
    image : (int, int)
        H and W, in pixels.
    kernel, stride : int or pair of int
        Vertical and horizontal; stride None means the kernel's size.
    padding : int, pair, or ((top, bottom), (left, right))
        In pixels.
    ceil_mode : bool, default=False
        Round the output size up instead of down.

    Raises
    ------
    ShapeError
        If a size is not a whole number, is out of range, or the kernel is larger than the padded image.

    Examples
    --------
    >>> w = window("max_pool2d", (112, 112), 3, 2, 0, ceil_mode=True)
    >>> w.OH, w.OW, w.extra_bottom
    (56, 56, 1)
    """
    H, W = image
    KH, KW = pair(op, "kernel_size", kernel, minimum=1)
    SH, SW = (KH, KW) if stride is None else pair(op, "stride", stride, minimum=1)
    (top, bottom), (left, right) = padding_pairs(op, padding)
    for axis, size, k, before, after in (("height", H, KH, top, bottom), ("width", W, KW, left, right)):
        if size < 1:
            raise ShapeError(f"{op}: x: expected at least one pixel of {axis}, got {size}")
        if k > size + before + after:
            raise ShapeError(
                f"{op}: kernel_size: expected at most the {axis} of the padded image, "
                f"{size} + {before} + {after} = {size + before + after}, got {k}"
            )
    OH = _output_size(H, KH, SH, top, bottom, ceil_mode)
    OW = _output_size(W, KW, SW, left, right, ceil_mode)
    return Window(H, W, KH, KW, SH, SW, top, bottom, left, right, OH, OW)


def _met(size: int, places: int, stride: int, before: int, tap: int) -> tuple[slice, slice]:
    """Solve 0 <= place * stride + tap - before < size for the place."""
    first = max(0, -((tap - before) // stride))
    last = min(places - 1, (size - 1 - tap + before) // stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    start = first * stride + tap - before
    return slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)


def _output_size(size: int, kernel: int, stride: int, before: int, after: int, ceil_mode: bool) -> int:
    span = before + size + after - kernel
    places = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (places - 1) * stride >= before + size:
        places -= 1  # the last window would see padding only
    return places


def integer(op: str, argument: str, value: object, minimum: int | None = None) -> int:
    """Return `value` as an int, or raise ShapeError if it is no whole number of at least `minimum`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise ShapeError(f"{op}: {argument}: expected a whole number, got {value!r}") from None
    if minimum is not None and number < minimum:
        raise ShapeError(f"{op}: {argument}: expected at least {minimum}, got {number}")
    return number


def pair(op: str, argument: str, value: object, minimum: int) -> tuple[int, int]:
    """Return an int or a pair of ints as (vertical, horizontal).

    Examples
    --------
    >>> pair("conv2d", "stride", 2, minimum=1)
    (2, 2)
    >>> pair("conv2d", "stride", [1, 2], minimum=1)
    (1, 2)
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise ShapeError(
                f"{op}: {argument}: expected an int or a pair (vertical, horizontal), got {value!r}"
            )
        return integer(op, argument, value[0], minimum), integer(op, argument, value[1], minimum)
    number = integer(op, argument, value, minimum)
    return number, number


def padding_pairs(op: str, value: object) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a padding as ((top, bottom), (left, right)).

    Examples
    --------
    >>> padding_pairs("conv2d", 1)
    ((1, 1), (1, 1))
    >>> padding_pairs("conv2d", (1, 2))
    ((1, 1), (2, 2))
    >>> padding_pairs("conv2d", ((0, 1), (2, 3)))
    ((0, 1), (2, 3))
    """
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(v, Sequence) for v in value):
        vertical, horizontal = value
        return pair(op, "padding", vertical, 0), pair(op, "padding", horizontal, 0)
    vertical, horizontal = pair(op, "padding", value, 0)
    return (vertical, vertical), (horizontal, horizontal)


def axis_number(op: str, axis: object, shape: tuple[int, ...]) -> int:
    """Return the number of an axis, counted from 0, or raise ShapeError if `shape` has no such axis.

    Examples
    --------
    >>> axis_number("concat", -1, (8, 28, 28, 256))
    3
    """
    number = integer(op, "axis", axis)
    if not -len(shape) <= number < len(shape):
        raise ShapeError(f"{op}: axis: expected an axis of shape {shape}, got {axis}")
    return number % len(shape)


def check_image_batch(op: str, shape: tuple[int, ...]) -> None:
    """Raise ShapeError unless `shape` is (N, H, W, C) with no size of zero."""
    if len(shape) != 4:
        raise ShapeError(f"{op}: x: expected a batch of images (N, H, W, C), got shape {shape}")
    for name, size in zip("NHWC", shape, strict=True):
        if size == 0:
            what = "an empty batch" if name == "N" else f"{name} = 0"
            raise ShapeError(f"{op}: x: expected (N, H, W, C), no size of 0, got {what}: {shape}")
