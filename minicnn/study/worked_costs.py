"""The classroom questions about cost: what a design needs, against what it replaces.

Each function works one question out for numbers of one's own. `lecture_cases` has those that lectures on
GoogLeNet show, with the figures they print, and says which of these are misprints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minicnn.cost import Product
from minicnn.errors import UsageError
from minicnn.shapes import window
from minicnn.study.receptive_field import field_of_image
from minicnn.study.text_tables import Column, as_text

COLUMNS = (
    Column("", left=True), Column("", left=True), Column("multiply-adds"), Column("weights"),
    Column("", left=True),
)  # fmt: skip


@dataclass(frozen=True)
class Design:
    """One way of doing it.

    Attributes
    ----------
    name : str
        What to call it.
    products : tuple of Product
        What has to be computed.
    note : str
        Stands at the end of its line.
    """

    name: str
    products: tuple[Product, ...]
    note: str = ""

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return sum(product.macs for product in self.products)

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return sum(product.weights for product in self.products)


@dataclass(frozen=True)
class WorkedCost:
    """A question, worked out. `str()` is the answer as a table.

    Attributes
    ----------
    title : str
        The question.
    designs : tuple of Design
        What is compared: first what is replaced, then by what.
    remarks : tuple of str
        What follows.
    """

    title: str
    designs: tuple[Design, ...]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = []
        for design in self.designs:
            note = design.note
            if design is not self.designs[0]:
                note = ", ".join(filter(None, [times_fewer(self.designs[0].macs, design.macs), note]))
            if len(design.products) < 2:
                working = "".join(product.working for product in design.products)
                lines.append(_line(design.name, working, design.macs, design.weights, note))
                continue
            lines.append([design.name, "", "", "", ""])
            lines += [_line(f"  {p.what}", p.working, p.macs, p.weights) for p in design.products]
            lines.append(_line("  together", "", design.macs, design.weights, note))
        return "\n".join([self.title, *(f"  {text}" for text in as_text(COLUMNS, lines)), *self.remarks])


def _line(name: str, working: str, macs: int, weights: int, note: str = "") -> list[str]:
    return [name, working, f"{macs:,}", f"{weights:,}", f" {note}" if note else ""]


def times_fewer(before: int, after: int) -> str:
    """Say how a count has changed.

    Examples
    --------
    >>> times_fewer(120_422_400, 12_443_648), times_fewer(10, 20), times_fewer(7, 0)
    ('9.7 times fewer', '2.0 times as many', 'none at all')
    """
    if after == 0:
        return "none at all"
    return f"{before / after:.1f} times fewer" if after <= before else f"{after / before:.1f} times as many"


def convolution_cost(size: int, channels: int, filters: int, kernel: int, reduce: int | None) -> WorkedCost:
    """Compare a convolution with one after a 1x1 convolution to fewer channels.

    Parameters
    ----------
    size : int
        Height and width of the image; the convolution keeps it.
    channels, filters : int
        Channels that go in and come out.
    kernel : int
        Height and width of the filters.
    reduce : int or None
        Channels in between; None for the convolution alone.

    Examples
    --------
    >>> cost = convolution_cost(28, 192, 32, 5, reduce=16)
    >>> [design.macs for design in cost.designs], [product.macs for product in cost.designs[1].products]
    ([120422400, 12443648], [2408448, 10035200])
    """
    name = f"{kernel}x{kernel}"
    title = f"A {name} convolution from {size}x{size}x{channels} to {size}x{size}x{filters}"
    direct = Design("directly", (Product(name, size, channels, filters, kernel),))
    if reduce is None:
        return WorkedCost(title, (direct,))
    products = Product("1x1", size, channels, reduce), Product(name, size, reduce, filters, kernel)
    title += f", with and without a 1x1 reduction to {reduce}"
    return WorkedCost(title, (direct, Design("reduced first", products)))


def module_cost(
    size: int, channels: int, filters: tuple[int, int, int], reduce: tuple[int, int], projection: int
) -> WorkedCost:
    """Compare the naive inception module with the one with reductions.

    Parameters
    ----------
    size : int
        Height and width of the image.
    channels : int
        Channels of the input.
    filters : (int, int, int)
        Of the 1x1, the 3x3 and the 5x5 convolution.
    reduce : (int, int)
        Channels before the 3x3 and the 5x5 convolution.
    projection : int
        Channels of the pooling branch.
    """
    c1x1, c3x3, c5x5 = filters
    naive = (
        Product("1x1", size, channels, c1x1),
        Product("3x3", size, channels, c3x3, 3),
        Product("5x5", size, channels, c5x5, 5),
    )
    reduced = (
        naive[0],
        Product("1x1 before 3x3", size, channels, reduce[0]),
        Product("3x3", size, reduce[0], c3x3, 3),
        Product("1x1 before 5x5", size, channels, reduce[1]),
        Product("5x5", size, reduce[1], c5x5, 5),
        Product("1x1 after pooling", size, channels, projection),
    )
    return WorkedCost(
        f"An inception module on {size}x{size}x{channels} with {c1x1}, {c3x3} and {c5x5} filters",
        (
            Design("naive", naive, f"output {size}x{size}x{sum(filters) + channels}"),
            Design("reduced", reduced, f"output {size}x{size}x{sum(filters) + projection}"),
        ),
    )


def pooling_cost(size: int, channels: int, outputs: int) -> WorkedCost:
    """Compare a fully connected layer on a whole image with its average, which keeps the channels.

    Parameters
    ----------
    size, channels : int
        Of the image.
    outputs : int
        Units of the fully connected layer.
    """
    return WorkedCost(
        f"From {size}x{size}x{channels} to {outputs} numbers: fully connected, or each channel's average",
        (
            Design("fully connected", (_fully_connected(size, channels, outputs),)),
            Design("average", (), f"which gives {channels} numbers"),
        ),
    )


def _fully_connected(size: int, channels: int, outputs: int) -> Product:
    """Return a layer on a whole image: a convolution whose filters are as large as the image."""
    return Product("", 1, channels, outputs, kernel=size)


def classifier_cost(size: int, channels: int, classes: int) -> WorkedCost:
    """Compare a classifier on the flattened image with one on its average.

    Parameters
    ----------
    size, channels : int
        Of the image.
    classes : int
        Number of classes.
    """
    return WorkedCost(
        f"A classifier of {classes} classes on {size}x{size}x{channels}",
        (
            Design("flattened", (_fully_connected(size, channels, classes),)),
            Design("averaged first", (Product("", 1, channels, classes),)),
        ),
    )


def stack_cost(size: int, channels: int, kernel: int) -> WorkedCost:
    """Compare a large convolution with several of 3x3 that see as much.

    Parameters
    ----------
    size, channels : int
        Of the image; all layers keep them.
    kernel : int
        Odd, at least 3.

    Raises
    ------
    UsageError
        If no number of 3x3 convolutions sees as much.
    """
    if kernel < 3 or kernel % 2 == 0:
        raise UsageError(f"a stack of 3x3 convolutions sees an odd number of pixels from 3 on, not {kernel}")
    count = (kernel - 1) // 2
    stack = tuple(Product("3x3", size, channels, channels, 3) for _ in range(count))
    return WorkedCost(
        f"{count} stacked 3x3 convolutions instead of one {kernel}x{kernel}, on {size}x{size}x{channels}",
        (
            Design(
                f"{kernel}x{kernel}",
                (Product("", size, channels, channels, kernel),),
                f"sees {receptive_field([kernel])} pixels",
            ),
            Design("stacked", stack, f"sees {receptive_field([3] * count)} pixels"),
        ),
    )


def receptive_field(kernels: Sequence[int]) -> int:
    """Return how many pixels a stack of convolutions sees.

    Examples
    --------
    >>> receptive_field([3, 3]), receptive_field([3, 3, 3])
    (5, 7)
    """
    size = sum(kernels)
    field = field_of_image((1, size, size, 1))
    for kernel in kernels:
        assert field is not None
        field = field.through(window("conv2d", (size, size), kernel, 1, kernel // 2))
    assert field is not None
    return field.size[0]
