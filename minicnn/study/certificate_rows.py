"""What a certificate consists of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One entry of the table, ours and the paper's.

    Attributes
    ----------
    row : str
        First column of the paper's row.
    column : str
        "patch/stride", "output", "depth", one of the six widths, "params" or "ops".
    ours : str
        As it would be printed, with one more digit for params and ops.
    paper : str
        As it is printed.
    agrees : bool
        Whether the printed one is ours, rounded or cut off.
    count : int or None
        Our exact number of weights or multiply-adds.
    why : str
        What follows about an entry that differs; empty for one that agrees.
    """

    row: str
    column: str
    ours: str
    paper: str
    agrees: bool
    count: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Reading:
    """How many params entries agree if they are read in one of four ways.

    Attributes
    ----------
    thousand : int
        What a K is: 1024 or 1000.
    with_biases : bool
        Whether biases are counted.
    agreeing : int
        How many entries are then our number, rounded or cut off.
    exact : tuple of str
        Rows of which our number is then the printed one, to the last digit.
    """

    thousand: int
    with_biases: bool
    agreeing: int
    exact: tuple[str, ...]
