"""`compare_with_paper`: GoogLeNet against the paper's table 1, entry by entry.

An entry agrees if it is our number, rounded or cut off. Parameters are counted in 1024s and without biases:
only so do the entries agree that can (`Certificate.readings` has the count for every way of counting). Why
the others differ is worked out in `misprints.py`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from minicnn.errors import UsageError
from minicnn.study.certificate_rows import Entry, Reading
from minicnn.study.certificate_text import certificate_lines
from minicnn.study.misprints import K, M, reason
from minicnn.study.paper_table import PAPER_IMAGE, PAPER_TABLE, PaperRow
from minicnn.study.stages import WIDTHS, StageRow
from minicnn.study.summary import Summary
from minicnn.study.text_tables import Column, as_csv, as_markdown, shape


@dataclass(frozen=True)
class Certificate:
    """The result of `compare_with_paper`. `str()` is the table with the reasons.

    Attributes
    ----------
    rows : tuple of Entry
        All entries, row by row.
    readings : tuple of Reading
        What speaks for K = 1024 and no biases.
    weights, macs : int
        Our sums.
    """

    rows: tuple[Entry, ...]
    readings: tuple[Reading, ...]
    weights: int
    macs: int

    @property
    def differing(self) -> tuple[Entry, ...]:
        """The entries that do not agree."""
        return tuple(entry for entry in self.rows if not entry.agrees)

    def __str__(self) -> str:
        return "\n".join(certificate_lines(self.rows, self.readings, self.weights, self.macs))

    def to_markdown(self) -> str:
        """Write all entries as a Markdown table."""
        columns = [Column(heading, left=True) for heading in ("row", "column", "ours", "paper", "", "why")]
        return as_markdown(columns, [_cells(entry) for entry in self.rows])

    def to_csv(self) -> str:
        """Write all entries as comma-separated values with a line of headings."""
        headings = ["row", "column", "ours", "paper", "verdict", "why", "count"]
        return as_csv(headings, [[*_cells(entry), entry.count] for entry in self.rows])

    def to_json(self) -> str:
        """Write everything as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def compare_with_paper(summary: Summary) -> Certificate:
    """Hold a summary of GoogLeNet against table 1 of its paper.

    Parameters
    ----------
    summary : Summary
        Of `models.googlenet`, for images of 224x224x3.

    Returns
    -------
    Certificate

    Raises
    ------
    UsageError
        If the network is none that the table is about.

    Examples
    --------
    >>> from minicnn import models, study
    >>> certificate = compare_with_paper(study.summarize(models.googlenet(aux=False), (1, 224, 224, 3)))
    >>> entries = {(entry.row, entry.column): entry for entry in certificate.rows}
    >>> entry = entries["convolution 2", "params"]
    >>> entry.ours, entry.paper, entry.agrees, entry.count
    ('112.0K', '112K', True, 114688)
    >>> entries["inception 5a", "ops"].agrees
    False
    """
    stages = {stage.name: stage for stage in summary.stages if not stage.training_only}
    missing = [name for row in PAPER_TABLE for name in row.stages if name not in stages]
    if missing or summary.input_shape[1:] != PAPER_IMAGE:
        what = f"it has no {missing[0]}" if missing else f"its input is {shape(summary.input_shape)}"
        raise UsageError(
            f"compare_with_paper: the paper's table 1 is about GoogLeNet on 224x224x3 images, not about this "
            f"{summary.model}: {what}"
        )
    entries: list[Entry] = []
    for row in PAPER_TABLE:
        if row.stages:
            entries += _entries(row, [stages[name] for name in row.stages], summary)
    counted = {row: [stages[name] for name in row.stages] for row in PAPER_TABLE if row.params}
    return Certificate(
        tuple(entries),
        tuple(_reading(counted, thousand, biases) for thousand in (K, 1000) for biases in (False, True)),
        weights=sum(_weights(own) for own in counted.values()),
        macs=sum(stage.macs for own in counted.values() for stage in own),
    )


def _reading(counted: Mapping[PaperRow, Sequence[StageRow]], thousand: int, with_biases: bool) -> Reading:
    numbers = {row: _weights(own, with_biases) / thousand for row, own in counted.items()}
    return Reading(
        thousand,
        with_biases,
        agreeing=sum(row.params is not None and row.params.fits(n) for row, n in numbers.items()),
        exact=tuple(row.name for row, n in numbers.items() if row.params and row.params.value == n),
    )


def _entries(row: PaperRow, stages: Sequence[StageRow], summary: Summary) -> Iterable[Entry]:
    last = stages[-1]

    def same(column: str, ours: str, paper: str) -> Entry:
        return Entry(row.name, column, ours, paper, ours == paper)

    if row.window:
        yield same("patch/stride", _window(last, summary), row.window)
    yield same("output", shape((1, *_image(last))), shape((1, *row.output)))
    if row.depth is not None:
        yield same("depth", str(sum(stage.depth for stage in stages)), str(row.depth))
    ours = _widths(stages)
    for column, width in zip(WIDTHS.values(), row.widths, strict=True):
        if width is not None or column in ours:
            yield same(column, str(ours.get(column, "")), "" if width is None else str(width))
    if row.params and row.operations:
        weights, biases = _weights(stages), sum(stage.biases for stage in stages)
        macs = sum(stage.macs for stage in stages)
        for column, printed, number, count in (
            ("params", row.params, weights / K, weights),
            ("ops", row.operations, macs / M, macs),
        ):
            agrees = printed.fits(number)
            why = "" if agrees else reason(row, column, weights, biases, macs)
            unit = printed.text[-1]
            yield Entry(row.name, column, f"{number:,.1f}{unit}", printed.text, agrees, count, why)


def _weights(stages: Iterable[StageRow], with_biases: bool = False) -> int:
    return sum(stage.params - (0 if with_biases else stage.biases) for stage in stages)


def _image(stage: StageRow) -> tuple[int, ...]:
    """Return the output as (H, W, C): a vector is an image of one pixel."""
    sizes = stage.output_shape[1:]
    return (1,) * (3 - len(sizes)) + sizes


def _window(stage: StageRow, summary: Summary) -> str:
    """Return patch size and stride; a global average is a patch of the whole image."""
    if stage.kind == "global_avg_pool2d":
        H, W = summary.rows[summary.rows[stage.places[0]].sources[0]].output_shape[1:3]
        return f"{H}x{W}/1"
    return stage.window if "/" in stage.window else f"{stage.window}/1"


def _widths(stages: Sequence[StageRow]) -> dict[str, int]:
    """Return the filters of an inception module, or of a reduction with its 3x3 convolution."""
    if len(stages) == 2:
        reduce, convolution = (stage.output_shape[-1] for stage in stages)
        return {"3x3 reduce": reduce, "3x3": convolution}
    return stages[0].widths


def _cells(entry: Entry) -> list[str]:
    verdict = "agree" if entry.agrees else "differ"
    return [entry.row, entry.column, entry.ours, entry.paper, verdict, entry.why]
