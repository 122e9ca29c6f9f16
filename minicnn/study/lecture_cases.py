"""The worked cases that lectures and slides on GoogLeNet show, with the figures they print."""

from __future__ import annotations

from dataclasses import replace

from minicnn.study.paper_table import Printed
from minicnn.study.worked_costs import (
    Design,
    WorkedCost,
    classifier_cost,
    convolution_cost,
    module_cost,
    pooling_cost,
    stack_cost,
)


def lecture_cases() -> tuple[WorkedCost, ...]:
    """Work out the cases that lectures show, and check their figures.

    Examples
    --------
    >>> for case in lecture_cases():
    ...     print(case.title, [design.macs for design in case.designs])
    A 5x5 convolution from 14x14x480 to 14x14x48, with and without a 1x1 reduction to 16 [112896000, 5268480]
    A 5x5 convolution from 28x28x192 to 28x28x32, with and without a 1x1 reduction to 16 [120422400, 12443648]
    An inception module on 28x28x256 with 128, 192 and 96 filters [854196224, 271351808]
    From 7x7x1024 to 1024 numbers: fully connected, or each channel's average [51380224, 0]
    A classifier of 1000 classes on 7x7x1024 [50176000, 1024000]
    2 stacked 3x3 convolutions instead of one 5x5, on 28x28x64 [80281600, 57802752]
    3 stacked 3x3 convolutions instead of one 7x7, on 28x28x64 [157351936, 86704128]
    """
    first = convolution_cost(14, 480, 48, 5, 16)
    parts = [Design(product.what, (product,)) for product in first.designs[1].products]
    module = module_cost(28, 256, (128, 192, 96), (64, 64), 64)
    pooling = pooling_cost(7, 1024, 1024)
    return (
        _with_figures(
            first,
            "lectures",
            [
                ("112.9M", first.designs[0]),
                *zip(("1.5M", "3.8M"), parts, strict=True),
                ("5.3M", first.designs[1]),
            ],
        ),
        convolution_cost(28, 192, 32, 5, 16),
        _with_figures(module, "slides", [("854M", module.designs[0]), ("358M", module.designs[1])]),
        _with_figures(pooling, "slides", [("51.3M", pooling.designs[0])]),
        classifier_cost(7, 1024, 1000),
        stack_cost(28, 64, 5),
        stack_cost(28, 64, 7),
    )


def _with_figures(case: WorkedCost, who: str, figures: list[tuple[str, Design]]) -> WorkedCost:
    checked = [check_figure(printed, design) for printed, design in figures]
    return replace(case, remarks=tuple(f"  {who}: {text}" for text in checked))


def check_figure(printed: str, design: Design) -> str:
    """Say whether a printed figure is a design's number of multiply-adds, and if not, what it may be.

    Parameters
    ----------
    printed : str
        In millions, such as "358M".
    design : Design
        What it is said to be of.

    Examples
    --------
    >>> reduced = module_cost(28, 256, (128, 192, 96), (64, 64), 64).designs[1]
    >>> check_figure("271M", reduced)
    '271M is right'
    >>> check_figure("358M", reduced)
    '358M is a misprint: the same sum with the 3x3 (86,704,128) counted twice, 358,055,936'
    """
    figure, millions = Printed(printed), 10**6
    if figure.fits(design.macs / millions):
        rounded = f"{design.macs / millions:.{len(printed.partition('.')[2][:-1])}f}M"
        return (
            f"{printed} is right" if rounded == printed else f"{printed} is cut off, rounded it is {rounded}"
        )
    for product in design.products:
        if figure.fits((design.macs + product.macs) / millions):
            return (
                f"{printed} is a misprint: the same sum with the {product.what} ({product.macs:,}) counted "
                f"twice, {design.macs + product.macs:,}"
            )
    return f"{printed} is a misprint"
