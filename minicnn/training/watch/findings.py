"""What the watch has to say, and the file in which it is kept.

findings.jsonl   one object a finding: step, epoch, kind, where (place: number), over, seen, advice
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FINDINGS = "findings.jsonl"


@dataclass(frozen=True)
class Finding:
    """Something that has gone wrong, or that is over.

    Attributes
    ----------
    kind : str
        Which of the known failures: "plateau", "dead ReLUs" and so on.
    where : mapping of str to float
        The heads, blocks or layers, each with the number by which it was recognised.
    seen : str
        What was seen, in words.
    advice : str
        What usually helps; empty when it is over.
    over : bool
        Whether this says that it has passed.

    Examples
    --------
    >>> print(Finding("dead ReLUs", {"conv1": 1.0}, "conv1 is off.", "a lower --lr."))
    dead ReLUs: conv1 is off. What usually helps: a lower --lr.
    """

    kind: str
    where: Mapping[str, float]
    seen: str
    advice: str = ""
    over: bool = False

    def __str__(self) -> str:
        advice = f" What usually helps: {self.advice}" if self.advice else ""
        return f"{self.kind}: {self.seen}{advice}"

    def to_json(self, step: int, epoch: int) -> dict[str, Any]:
        """Return the line of findings.jsonl for a finding after so many steps, in this epoch (from 1)."""
        where = {place: float(f"{number:.4g}") for place, number in self.where.items()}
        return {"step": step, "epoch": epoch, **asdict(self), "where": where}


def name_places(places: Mapping[str, float], most: int = 4) -> str:
    """Write down places, only the first few of many.

    Examples
    --------
    >>> name_places({"conv1": 1.0})
    'conv1'
    >>> name_places(dict.fromkeys(["a", "b", "c", "d", "e", "f"], 0.0))
    'a, b, c, d and 2 more layers'
    """
    names = list(places)
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more layers"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
