"""Whether the networks of an experiment have learnt anything: if not, a comparison of them says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Of the way from guessing to always being right; a network that has not come so far counts as guessing.
LEARNT = 0.1


@dataclass(frozen=True)
class Guessing:
    """Which trained networks still guess. `str()` says it in a line, which is empty if none does.

    Parameters
    ----------
    accuracies : mapping of str to sequence of float
        For each group of networks, their accuracies on images not trained on: 0 to 1.
    classes : int
        Whoever guesses is right in one of so many images.

    Examples
    --------
    >>> print(Guessing({"average": [0.62, 0.11, 0.7], "flattened": [0.6, 0.9, 0.5]}, classes=10))
    Still guessing (about 10% right): average 1 of 3; with more --epochs or --limit they may learn.
    >>> print(Guessing({"average": [0.10], "flattened": [0.12]}, classes=10))
    Not learnt: 2 of 2 networks guess (about 10% right), so this says nothing; raise --epochs or --limit.
    """

    accuracies: Mapping[str, Sequence[float]]
    classes: int

    @property
    def counts(self) -> dict[str, int]:
        """How many networks of each group guess."""
        chance = 1 / self.classes
        bound = chance + LEARNT * (1 - chance)
        return {group: sum(a < bound for a in of_group) for group, of_group in self.accuracies.items()}

    @property
    def everywhere(self) -> bool:
        """Whether at least half of the networks of every group guess: then comparing them says nothing."""
        return all(2 * self.counts[group] >= len(of_group) for group, of_group in self.accuracies.items())

    def judge(self, verdict: list[str]) -> list[str]:
        """Return a verdict with what has to be said about networks that guess, or that instead of it."""
        if self.everywhere:
            return [str(self)]
        return [*verdict, str(self)] if any(self.counts.values()) else verdict

    def __str__(self) -> str:
        right = f"about {100 / self.classes:.0f}% right"
        if self.everywhere:
            total = sum(map(len, self.accuracies.values()))
            return (
                f"Not learnt: {sum(self.counts.values())} of {total} networks guess ({right}), so this says "
                "nothing; raise --epochs or --limit."
            )
        if not any(self.counts.values()):
            return ""
        return f"Still guessing ({right}): {self.groups}; with more --epochs or --limit they may learn."

    @property
    def groups(self) -> str:
        """The groups in which networks guess, with how many: "with heads 1 of 3"."""
        return ", ".join(
            f"{group} {count} of {len(self.accuracies[group])}"
            for group, count in self.counts.items()
            if count
        )
