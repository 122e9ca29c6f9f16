"""What there is to say about single coordinates and single ops."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from minicnn.gradient_check.differences import NEIGHBOURS, ErrorsByEps, stays

Index = tuple[int, ...]

# So many coordinates at a kink are looked at before one of them is shown.
KINKS_TRIED = 5


def where(op: str, module_path: str) -> str:
    """Return "conv2d in inception3a.conv3x3", or just "conv2d" outside of modules."""
    return f"{op} in {module_path}" if module_path else op


def coordinate(index: Index) -> str:
    """Return "[0, 2]", or an empty text for an array without axes."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def _values(analytic: float, numeric: float) -> str:
    """Write both down, and a zero without a sign."""
    return f"backward {analytic + 0.0:.9g}, differences {numeric + 0.0:.9g}"


def describe_errors(errors: ErrorsByEps, with_kink: str = "") -> list[str]:
    """Return a small table of errors by step width, and what it says.

    `with_kink` is which op may have a kink there that it does not declare; empty if none can have.
    """
    if not errors:
        return []
    head = "eps    " + "".join(f"{eps:>11.0e}" for eps, _ in errors)
    row = "error  " + "".join(f"{error:>11.2e}" for _, error in errors)
    if stays(errors):
        verdict = "the error stays whatever eps is: the gradient is wrong"
        if with_kink:
            verdict += f",\n    or here is a kink that {with_kink} does not declare (Function.branches)"
    elif len(errors) < NEIGHBOURS:
        verdict = "kinks at the other step widths: how the error moves with eps cannot be told"
    else:
        verdict = "the error moves with eps: a large one adds curvature, a small one rounding"
    return [head, row, verdict]


@dataclass(frozen=True)
class WrongOp:
    """An op whose own gradient is wrong, run by itself on copies of its inputs.

    Attributes
    ----------
    op, module_path : str
        Name of the op, and the module that called it.
    input : int
        Which of the op's inputs.
    index : tuple of int
        At which coordinate of that input.
    analytic, numeric : float
        What its backward says, and the difference quotient, for a random cotangent of its own.
    errors_by_eps : tuple of (float, float)
        (eps, analytic - numeric at that eps), largest eps first.
    kink : bool
        Whether the slopes on both sides differ however small the step, with the analytic one in between: then
        the gradient may be right, and the op lacks `branches`.
    remark : str
        What it does wrong besides, e.g. that its backward changes its argument; mostly empty.
    """

    op: str
    module_path: str
    input: int
    index: Index
    analytic: float
    numeric: float
    errors_by_eps: ErrorsByEps = ()
    kink: bool = False
    remark: str = ""

    def __str__(self) -> str:
        name = where(self.op, self.module_path)
        if self.remark:
            return f"{name}: {self.remark}"
        values = _values(self.analytic, self.numeric)
        lines = [f"{name}, input {self.input} at {coordinate(self.index) or 'its only element'}: {values}"]
        return "\n    ".join([*lines, *describe_errors(self.errors_by_eps, self.op if self.kink else "")])


@dataclass(frozen=True)
class Failure:
    """A coordinate at which backward and difference quotient disagree.

    Attributes
    ----------
    input : int
        Which input.
    name : str
        What it is called: "input 0", or the name of a parameter.
    index : tuple of int
        Which coordinate of it.
    analytic, numeric : float
        What backward says, and the difference quotient.
    errors_by_eps : tuple of (float, float)
        (eps, analytic - numeric at that eps) for the worst failure of each input; empty for the others.
    kink : bool
        Whether the slopes on both sides differ however small the step, with the analytic one in between.
    first_wrong_op : WrongOp or None
        The first op on the backward path to this input whose own gradient is wrong; None if each is right.
    explanation : str
        What to look at if there is no such op, else empty.
    """

    input: int
    name: str
    index: Index
    analytic: float
    numeric: float
    errors_by_eps: ErrorsByEps = ()
    kink: bool = False
    first_wrong_op: WrongOp | None = None
    explanation: str = ""

    def __str__(self) -> str:
        values = _values(self.analytic, self.numeric)
        op = self.first_wrong_op.op if self.first_wrong_op else "an op"
        return "\n    ".join(
            [
                f"{self.name}{coordinate(self.index)}: {values}",
                *describe_errors(self.errors_by_eps, op if self.kink else ""),
            ]
        )


Finding = TypeVar("Finding", Failure, WrongOp)


def plainest(findings: Iterable[Finding]) -> Finding | None:
    """Return the first of a few that is at no kink, so that it is plainly wrong; else the first, if any."""
    first = None
    for finding in itertools.islice(findings, KINKS_TRIED):
        if not finding.kink:
            return finding
        first = first or finding
    return first


@dataclass(frozen=True)
class Kink:
    """A coordinate about which nothing can be said: some op changed its branch inside x ± eps.

    Attributes
    ----------
    input, name, index
        The coordinate, as in `Failure`.
    op, module_path : str
        The first op that changed its branch, and the module that called it.
    element : tuple of int
        Which element of that op's output did; empty if other ops ran altogether.
    """

    input: int
    name: str
    index: Index
    op: str
    module_path: str
    element: Index

    def __str__(self) -> str:
        element = f" at element {coordinate(self.element)}" if self.element else ""
        return f"{self.name}{coordinate(self.index)}: {where(self.op, self.module_path)}{element}"
