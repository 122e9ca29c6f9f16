"""What `minicnn gradcheck` prints: tables of worst errors, per op and per part of a network."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from minicnn.errors import UsageError
from minicnn.gradient_check.check import gradcheck
from minicnn.gradient_check.network import gradcheck_model
from minicnn.gradient_check.report import GradcheckReport, InputReport
from minicnn.nn import Module
from minicnn.tensor import Tensor

T = TypeVar("T")

# Coordinates of each parameter of a network.
SAMPLES = 20

# Of each input of an op case: enough for nearly all of them to be checked whole.
OP_SAMPLES = 200


@dataclass
class Row:
    """A line of the table: several inputs or parameters taken together."""

    name: str
    inputs: list[InputReport]
    problem: str = ""

    def __str__(self) -> str:
        checked, kinks = sum(i.checked for i in self.inputs), sum(i.kinks for i in self.inputs)
        wrong = sum(i.failures for i in self.inputs)
        absolute = max((i.max_abs_err for i in self.inputs), default=0.0)
        relative = max((i.max_rel_err for i in self.inputs), default=0.0)
        if wrong or self.problem:
            verdict = "WRONG" if wrong else "not checked"
        elif self.inputs and kinks == checked:
            verdict = "only kinks"
        else:
            verdict = "right"
        return f"{self.name:<22} {checked:>11} {kinks:>6} {absolute:>13.1e} {relative:>13.1e}   {verdict}"


def cli_report(op: str | None = None, model: Module | None = None) -> tuple[str, bool]:
    """Check every op, the one named, or a network; return a table of worst errors, and whether all are right.

    Parameters
    ----------
    op : str, optional
        Name of an op case. Left out, all of them, unless a network is given.
    model : Module, optional
        A network in float64 with the attributes `input_size` and `num_classes`: check all its parameters
        instead, at SAMPLES coordinates each.

    Returns
    -------
    text : str
        The table, and below it what is to be said about each failure.
    right : bool
        Whether no gradient is wrong.

    Raises
    ------
    UsageError
        If there is no such op.
    """
    rows, reports = _check_network(model) if model is not None else _check_ops(op)
    details = [f"\n{name}\n{report}" for name, report in reports if not report]
    table = "\n".join([*_header("part" if model is not None else "op"), *map(str, rows), *details])
    return table, not details


def _header(first: str) -> list[str]:
    names = f"{first:<22} {'coordinates':>11} {'kinks':>6} {'max abs err':>13} {'max rel err':>13}"
    return [names, "-" * (len(names) + 14)]


# Labels, so that failures of several samples of one op can be told apart.
Labelled = list[tuple[str, GradcheckReport]]


def _check_ops(name: str | None) -> tuple[list[Row], Labelled]:
    from minicnn.op_cases import CASES  # only needed here, and a hundred small functions long

    if name is not None and name not in CASES:
        raise UsageError(f"gradcheck: expected an op among {', '.join(sorted(CASES))}; got {name!r}")
    rows, reports = [], []
    for case in _with_progress([CASES[name]] if name is not None else CASES.values(), "ops"):
        row = Row(case.name, [])
        for sample in case.samples(np.random.default_rng(0)):
            report = gradcheck(
                lambda *tensors, case=case, sample=sample: case.function(*tensors, **sample.settings),
                sample.inputs,
                rng=np.random.default_rng(0),
                samples=OP_SAMPLES,
            )
            row.inputs += report.inputs
            row.problem = row.problem or report.problem
            reports.append((f"{case.name}, {sample.label}", report))
        rows.append(row)
    return rows, reports


def _check_network(model: Module) -> tuple[list[Row], Labelled]:
    rng = np.random.default_rng(0)
    image, classes = getattr(model, "input_size", None), getattr(model, "num_classes", None)
    if image is None or classes is None:
        raise UsageError("gradcheck: model: expected one with the attributes input_size and num_classes")
    x = Tensor(rng.standard_normal((2, *image)))
    labels = rng.integers(0, classes, 2)
    total = sum(min(SAMPLES, parameter.size) for parameter in model.parameters())
    bar = iter(_with_progress(range(total), "coordinates"))
    report = gradcheck_model(model, x, labels, SAMPLES, rng=rng, progress=lambda: next(bar))
    next(bar, None)  # lets the bar finish
    parts = itertools.groupby(report.inputs, key=lambda i: i.name.partition(".")[0])
    rows = [Row(part, list(inputs), report.problem) for part, inputs in parts]
    return rows, [(type(model).__name__, report)]


def _with_progress(items: Iterable[T], unit: str) -> Iterable[T]:
    """Show a progress bar on a terminal."""
    from tqdm import tqdm

    return tqdm(items, unit=f" {unit}", leave=False, disable=not sys.stderr.isatty())
