"""Table 1 of the GoogLeNet paper as printed, misprints included.

Szegedy et al., "Going deeper with convolutions", 2014 (arXiv 1409.4842). Nothing here is computed: it is what
`compare_with_paper` holds a network against.
"""

from __future__ import annotations

from dataclasses import dataclass

PAPER_IMAGE = (224, 224, 3)


@dataclass(frozen=True)
class Printed:
    """A printed number with its unit, such as 2.7K.

    Examples
    --------
    >>> Printed("2.7K").value, Printed("2.7K").step
    (2.7, 0.1)
    """

    text: str

    @property
    def value(self) -> float:
        """The number without its unit."""
        return float(self.text[:-1])

    @property
    def step(self) -> float:
        """What its last digit is worth."""
        digits = self.text[:-1].partition(".")[2]
        return float(f"1e-{len(digits)}")

    def range(self) -> tuple[float, float]:
        """Return between which numbers the true one lies if it was rounded or cut off.

        Examples
        --------
        >>> Printed("34M").range()
        (33.5, 35.0)
        """
        return self.value - self.step / 2, self.value + self.step

    def fits(self, number: float) -> bool:
        """Tell whether it is this number, rounded or cut off.

        Examples
        --------
        >>> [Printed("34M").fits(n) for n in (33.4, 33.5, 34.9, 35.0)]
        [False, True, True, False]
        """
        least, most = self.range()
        return least <= number < most


@dataclass(frozen=True)
class PaperRow:
    """One row of the table.

    Attributes
    ----------
    name : str
        First column.
    stages : tuple of str
        Which stages of the network it describes; none where the network computes nothing.
    window : str
        Patch size and stride, "7x7/2"; empty where the table has none.
    output : tuple of int
        H, W, C.
    depth : int or None
        None where nothing is printed.
    widths : tuple of (int or None)
        Filters, in the order of `minicnn.study.stages.WIDTHS`.
    params, operations : Printed or None
        In thousands and in millions.
    """

    name: str
    stages: tuple[str, ...]
    window: str
    output: tuple[int, int, int]
    depth: int | None
    widths: tuple[int | None, ...] = (None,) * 6
    params: Printed | None = None
    operations: Printed | None = None

    @property
    def pixels(self) -> int:
        """How many pixels the output has: how often each weight of the row is used."""
        return self.output[0] * self.output[1]


def _inception(row: str, size: int, channels: int, *widths: int, params: str, operations: str) -> PaperRow:
    return PaperRow(
        f"inception {row}", (f"inception{row}",), "", (size, size, channels), 2, widths,
        Printed(params), Printed(operations),
    )  # fmt: skip


PAPER_TABLE = (
    PaperRow("convolution 1", ("conv1",), "7x7/2", (112, 112, 64), 1,
             params=Printed("2.7K"), operations=Printed("34M")),
    PaperRow("max pool", ("pool1",), "3x3/2", (56, 56, 64), 0),
    PaperRow("convolution 2", ("conv2_reduce", "conv2"), "3x3/1", (56, 56, 192), 2,
             (None, 64, 192, None, None, None), Printed("112K"), Printed("360M")),
    PaperRow("max pool", ("pool2",), "3x3/2", (28, 28, 192), 0),
    #                          1x1  3x3r 3x3 5x5r 5x5 pool
    _inception("3a", 28,  256,  64,  96, 128, 16,  32,  32, params="159K",  operations="128M"),
    _inception("3b", 28,  480, 128, 128, 192, 32,  96,  64, params="380K",  operations="304M"),
    PaperRow("max pool", ("pool3",), "3x3/2", (14, 14, 480), 0),
    _inception("4a", 14,  512, 192,  96, 208, 16,  48,  64, params="364K",  operations="73M"),
    _inception("4b", 14,  512, 160, 112, 224, 24,  64,  64, params="437K",  operations="88M"),
    _inception("4c", 14,  512, 128, 128, 256, 24,  64,  64, params="463K",  operations="100M"),
    _inception("4d", 14,  528, 112, 144, 288, 32,  64,  64, params="580K",  operations="119M"),
    _inception("4e", 14,  832, 256, 160, 320, 32, 128, 128, params="840K",  operations="170M"),
    PaperRow("max pool", ("pool4",), "3x3/2", (7, 7, 832), 0),
    _inception("5a",  7,  832, 256, 160, 320, 32, 128, 128, params="1072K", operations="54M"),
    _inception("5b",  7, 1024, 384, 192, 384, 48, 128, 128, params="1388K", operations="71M"),
    PaperRow("average pool", ("global_pool",), "7x7/1", (1, 1, 1024), 0),
    PaperRow("dropout 40%", (), "", (1, 1, 1024), 0),
    PaperRow("linear", ("fc",), "", (1, 1, 1000), 1, params=Printed("1000K"), operations=Printed("1M")),
    PaperRow("softmax", (), "", (1, 1, 1000), 0),
)  # fmt: skip
