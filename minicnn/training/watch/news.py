"""What of an examination is news: a failure is explained once, then only said to spread, or to be over."""

from __future__ import annotations

from minicnn.training.config import Config
from minicnn.training.watch.causes import advise
from minicnn.training.watch.examination import Examination
from minicnn.training.watch.failures import FAILURES
from minicnn.training.watch.findings import Finding, name_places


class News:
    """Tells what an examination shows that was not known yet, and what is over.

    Parameters
    ----------
    config : Config, optional
        Of the run, to say what in it may be to blame; left out, nothing is said about that.

    Attributes
    ----------
    known : dict of str to set of str
        For each kind of failure the places that were named and are not over.
    explained : set of str
        The kinds that have been explained: once is enough.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config
        self.known: dict[str, set[str]] = {failure.kind: set() for failure in FAILURES}
        self.explained: set[str] = set()

    def of(self, found: Examination, step: int) -> list[Finding]:
        """Return the findings that are news after so many steps."""
        news = []
        for failure in FAILURES:
            known = self.known[failure.kind]
            numbers = failure.measure(found)
            affected = failure.affected(numbers, known)
            new = {place: number for place, number in affected.items() if place not in known}
            if new and failure.kind not in self.explained:
                advice = advise(failure.causes, self.config) if self.config else ()
                news.append(Finding(failure.kind, step, new, failure.describe(new, found), advice))
            elif new:
                places = name_places({place: failure.write(number) for place, number in new.items()})
                seen = f"it has {'spread to' if known else 'come back in'} {places}."
                news.append(Finding(failure.kind, step, new, seen))
            elif known and not affected:
                where = {place: numbers.get(place, 0.0) for place in sorted(known)}
                news.append(Finding(failure.kind, step, where, "this is over.", over=True))
                known.clear()
            if new:
                self.explained.add(failure.kind)
                known.update(new)
        return news
