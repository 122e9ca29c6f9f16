"""What a gradient check found altogether, and how it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minicnn.gradient_check.findings import Failure, Index, Kink

# How many failures, and how many kinks, a printed report spells out.
SHOWN = 5


@dataclass(frozen=True)
class InputReport:
    """What was found for one input.

    Attributes
    ----------
    name : str
        "input 0", or the name of a parameter.
    shape : tuple of int
        Its shape.
    checked, kinks, failures : int
        Number of coordinates that were looked at; at how many of them there was a kink; and how many of
        the others are wrong.
    max_abs_err, max_rel_err : float
        Largest error where there was no kink. An error is relative to the gradient at its coordinate, or
        to a hundredth of the input's largest gradient if that is more.
    largest_gradient : float
        The largest difference quotient, in magnitude: 0 if the input has no influence.
    """

    name: str
    shape: Index
    checked: int
    kinks: int
    failures: int
    max_abs_err: float
    max_rel_err: float
    largest_gradient: float

    @property
    def remark(self) -> str:
        """What a reader should know about this input; mostly empty."""
        if self.checked == 0:
            return "it has no elements: nothing was checked"
        if self.kinks == self.checked:
            return f"all {self.checked} coordinates that were looked at are kinks: nothing can be said"
        if self.largest_gradient == 0 and self.failures == 0:
            return "it has no influence on the result, where it was looked at"
        return ""


@dataclass(frozen=True)
class GradcheckReport:
    """The result of a gradient check; true if no gradient is wrong.

    Attributes
    ----------
    failures : tuple of Failure
        Wrong gradients.
    kinks : tuple of Kink
        Coordinates where a ReLU or a max changed its branch inside x ± eps: neither right nor wrong.
    inputs : tuple of InputReport
        Counts and worst errors of each input.
    problem : str
        Why nothing could be checked at all, e.g. that the function is random; empty if it could be. A
        report with a problem is false.
    """

    failures: tuple[Failure, ...] = ()
    kinks: tuple[Kink, ...] = ()
    inputs: tuple[InputReport, ...] = ()
    problem: str = ""

    def __bool__(self) -> bool:
        return not self.failures and not self.problem

    @property
    def max_abs_err(self) -> float:
        """Largest |backward - difference quotient| where there was no kink."""
        return max((i.max_abs_err for i in self.inputs), default=0.0)

    @property
    def max_rel_err(self) -> float:
        """Largest relative error where there was no kink, see `InputReport`."""
        return max((i.max_rel_err for i in self.inputs), default=0.0)

    @property
    def checked(self) -> int:
        """Number of coordinates that were looked at, those with kinks included."""
        return sum(i.checked for i in self.inputs)

    def __str__(self) -> str:
        if self.problem:
            return f"gradcheck: {self.problem}"
        lines = [self._headline(), *self._table()]
        lines += [f"  {i.name}: {i.remark}" for i in self.inputs if i.remark]
        if self.failures:
            lines += [
                "",
                "Wrong gradients of sum(gy * y), for a random gy",
                *_listed(_worst_first(self.failures)),
            ]
            lines += self._culprits()
        if self.kinks:
            lines += ["", "Kinks inside x ± eps, neither right nor wrong", *_listed(self.kinks)]
        return "\n".join(lines)

    def _headline(self) -> str:
        wrong, kinks = len(self.failures), len(self.kinks)
        if self.failures:
            verdict = f"FAILED, {wrong} of {self.checked} coordinates wrong"
        elif kinks and kinks == self.checked:
            verdict = f"undecided, none of {self.checked} coordinates can be judged"
        else:
            verdict = f"passed, {self.checked - kinks} of {self.checked} coordinates right"
        return f"gradcheck: {verdict}, {kinks} at a kink"

    def _table(self) -> list[str]:
        width = max(len("input"), *(len(i.name) for i in self.inputs))
        head = f"{'shape':<16} {'checked':>8} {'kinks':>6} {'max abs err':>12} {'max rel err':>12}"
        rows = [f"  {'input':<{width}}  {head}"]
        for i in self.inputs:
            numbers = f"{i.checked:>8} {i.kinks:>6} {i.max_abs_err:>12.1e} {i.max_rel_err:>12.1e}"
            rows.append(f"  {i.name:<{width}}  {i.shape!s:<16} {numbers}")
        return rows

    def _culprits(self) -> list[str]:
        found = list(dict.fromkeys(f.first_wrong_op for f in self.failures if f.first_wrong_op))
        explanations = list(dict.fromkeys(f.explanation for f in self.failures if f.explanation))
        lines = []
        if found:
            lines += [
                "",
                "First op on the backward path whose own gradient is wrong, for a random gy of its own",
                *_listed(found),
            ]
        if explanations:
            lines += ["", "No op is wrong by itself", *_listed(explanations)]
        return lines


def _worst_first(failures: tuple[Failure, ...]) -> list[Failure]:
    """Put the failure of each input that was looked at most closely before the others."""
    return sorted(failures, key=lambda failure: not failure.errors_by_eps)


def _listed(items: Iterable[object]) -> list[str]:
    entries = [f"  {item}" for item in items]
    more = len(entries) - SHOWN
    return entries if more <= 0 else [*entries[:SHOWN], f"  ... and {more} more"]
