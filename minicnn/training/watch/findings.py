"""What the watch has to say, and the file in which it is kept.

findings.jsonl   one object a finding: step, epoch, kind, where (place: number), seen, advice, over
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FINDINGS = "findings.jsonl"
WIDTH = 96  # columns of a terminal, with room to spare


@dataclass(frozen=True)
class Finding:
    """Something that has gone wrong, or that is over.

    Attributes
    ----------
    kind : str
        Which of the known failures: "plateau", "dead ReLUs" and so on.
    step : int
        How many steps had been taken when it was seen.
    where : mapping of str to float
        The heads, blocks or layers, the lowest first, each with the number by which it was recognised.
    seen : str
        What was seen, in words.
    advice : tuple of str
        What to try, the most likely first; nothing when it is over.
    over : bool
        Whether this says that it has passed.

    Examples
    --------
    >>> advice = ("try --lr 0.05: --lr 2 is 40 times the default",)
    >>> print(Finding("dead ReLUs", 25, {"conv1": 1.0}, "conv1 is off.", advice))
    dead ReLUs at step 25: conv1 is off.
      try --lr 0.05: --lr 2 is 40 times the default
    """

    kind: str
    step: int
    where: Mapping[str, float]
    seen: str
    advice: tuple[str, ...] = ()
    over: bool = False

    def __str__(self) -> str:
        seen = wrap(f"{self.kind} at step {self.step}: {self.seen}")
        return "\n".join([*seen, *(line for text in self.advice for line in wrap(text, "  "))])

    def to_json(self, epoch: int) -> dict[str, Any]:
        """Return the line of findings.jsonl for a finding in this epoch (from 1)."""
        where = {place: float(f"{number:.4g}") for place, number in self.where.items()}
        return {"step": self.step, "epoch": epoch, **asdict(self), "where": where}


def wrap(text: str, indent: str = "") -> list[str]:
    """Cut a text into lines for a terminal; words, such as --clip-norm, stay whole.

    Examples
    --------
    >>> for line in wrap("the last step was a jump: " + "it moved conv1 by its norm, " * 3, "  "):
    ...     print(line)
      the last step was a jump: it moved conv1 by its norm, it moved conv1 by its norm, it moved
        conv1 by its norm,
    """
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def name_places(places: Mapping[str, str], most: int = 3) -> str:
    """Write down places, only the first few of many.

    Parameters
    ----------
    places : mapping of str to str
        Each with its number in words, or "" for none.
    most : int, default=3

    Examples
    --------
    >>> name_places({"conv1": "88%"})
    'conv1 (88%)'
    >>> name_places(dict.fromkeys(["a", "b", "c", "d", "e", "f"], ""))
    'a, b, c and 3 more layers'
    """
    names = [f"{place} ({number})" if number else place for place, number in places.items()]
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more layers"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
