"""Why an entry of the paper's table 1 differs from what its own widths give: worked out, not asserted.

Within a row every weight is used once for each output pixel, so the two printed columns have to fit each
other: ops * 10^6 = params * 1024 * pixels, up to their rounding. So one can tell an entry that contradicts
its neighbour from two that fit each other but not the widths.
"""

from __future__ import annotations

from minicnn.study.paper_table import PaperRow

K = 1024
M = 10**6
RGB = 3


def reason(row: PaperRow, column: str, weights: int, biases: int, macs: int) -> str:
    """Say what can be told about an entry that differs.

    Parameters
    ----------
    row : PaperRow
        The paper's row, with params and ops.
    column : str
        "params" or "ops".
    weights, biases, macs : int
        Ours.

    Examples
    --------
    >>> from minicnn.study.paper_table import PAPER_TABLE
    >>> conv1 = PAPER_TABLE[0]
    >>> print(reason(conv1, "ops", 3 * 49 * 64, 64, 3 * 49 * 64 * 112 * 112))
    a separable 7x7 with depth multiplier 8: 3*49*8 + 24*64 = 2,712 weights, times 112*112 = 34.02M
    """
    assert row.params is not None
    assert row.operations is not None
    if row.window and (multiplier := depth_multiplier(row)) is not None:
        return _separable(row, column, multiplier)
    fits = columns_fit_each_other(row)
    implied = row.params.value * K * row.pixels / M
    product = f"{row.params.text} * {row.output[0]}*{row.output[1]} = {implied:.1f}M"
    if column == "params" and row.params.fits((weights + biases) / K):
        return f"with its {biases:,} biases it is {(weights + biases) / K:.1f}K"
    if not fits:
        agreeing = "the ops fit the widths" if row.operations.fits(macs / M) else "neither fits the widths"
        return f"misprint: contradicts the ops beside it ({product}, not {row.operations.text}); {agreeing}"
    if row.operations.fits(macs / M):
        return f"does not follow from the widths; as rounded, it fits the ops beside it ({product})"
    return f"does not follow from the widths, but params and ops fit each other ({product})"


def columns_fit_each_other(row: PaperRow) -> bool:
    """Tell whether some number of weights fits both printed entries of a row.

    Examples
    --------
    >>> from minicnn.study.paper_table import PAPER_TABLE
    >>> [row.name for row in PAPER_TABLE if row.params and not columns_fit_each_other(row)]
    ['inception 4c', 'inception 4d', 'inception 4e', 'inception 5b']
    """
    if row.params is None or row.operations is None:
        return True
    fewest, most = (number * K * row.pixels / M for number in row.params.range())
    least, largest = row.operations.range()
    return fewest < largest and least < most


def depth_multiplier(row: PaperRow) -> int | None:
    """Return m if a separable convolution with m filters for each colour fits the printed operations.

    First each of the three colours is convolved with m filters of its own; a 1x1 convolution then maps the
    3*m channels to those of the output. None if no m does, or several.
    """
    if row.operations is None or not row.window:
        return None
    fitting = [m for m in range(1, 65) if row.operations.fits(separable_weights(row, m) * row.pixels / M)]
    return fitting[0] if len(fitting) == 1 else None


def separable_weights(row: PaperRow, multiplier: int) -> int:
    """Count the weights of such a separable convolution."""
    return RGB * _kernel(row) * multiplier + RGB * multiplier * row.output[2]


def _separable(row: PaperRow, column: str, multiplier: int) -> str:
    weights, filters = separable_weights(row, multiplier), row.output[2]
    size = row.window.partition("/")[0]
    sum_ = f"{RGB}*{_kernel(row)}*{multiplier} + {RGB * multiplier}*{filters} = {weights:,} weights"
    text = f"a separable {size} with depth multiplier {multiplier}: {sum_}"
    if column == "ops":
        return f"{text}, times {row.output[0]}*{row.output[1]} = {weights * row.pixels / M:.2f}M"
    return (
        f"{text}: {weights / K:.2f}K, with {filters} biases {(weights + filters) / K:.2f}K, "
        f"and {weights / 1000:.2f}K if a K were 1000"
    )


def _kernel(row: PaperRow) -> int:
    height, width = row.window.partition("/")[0].split("x")
    return int(height) * int(width)
