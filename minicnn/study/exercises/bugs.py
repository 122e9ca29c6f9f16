"""What a wrong op of `minicnn exercise bugs` is, and how a mended one is graded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import MinicnnError, UsageError
from minicnn.gradient_check import GradcheckReport, gradcheck
from minicnn.op_cases import Sample
from minicnn.study.exercises.exercise import matches, own_gradients
from minicnn.study.exercises.learners_file import describe, load_names, running
from minicnn.tensor import Tensor


@dataclass(frozen=True)
class Bug:
    """An op whose backward is wrong.

    Attributes
    ----------
    name, title, difficulty
        Of the file and of the function in it; what it computes; from 1 to 3.
    samples : tuple of (label, shapes, settings)
        With what the function is checked; values are drawn at random unless `draw` says otherwise.
    wrong, right : str
        The lines that are wrong, and what they should be.
    explanation : str
        Why that is wrong, and where it shows.
    draw : callable
        Makes values of a shape.
    """

    name: str
    title: str
    difficulty: int
    samples: tuple[tuple[str, tuple[tuple[int, ...], ...], dict[str, Any]], ...]
    wrong: str
    right: str
    explanation: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] = lambda rng, shape: (
        rng.standard_normal(shape)
    )

    def drawn(self) -> list[Sample]:
        """Return the samples with their values, always the same."""
        rng = np.random.default_rng(0)
        return [
            Sample(label, tuple(self.draw(rng, shape) for shape in shapes), settings)
            for label, shapes, settings in self.samples
        ]


@dataclass(frozen=True)
class Finding:
    """What came of checking an op on one sample.

    Attributes
    ----------
    sample : Sample
    problem : str
        What is wrong apart from difference quotients; empty if nothing is.
    report : GradcheckReport or None
        What the gradient checker says; None if it could not be asked.
    """

    sample: Sample
    problem: str
    report: GradcheckReport | None

    @property
    def right(self) -> bool:
        """Whether there is nothing to object to."""
        return not self.problem and bool(self.report)


def source_of(bug: Bug) -> str:
    """Return the text of the file a learner starts from."""
    folder = resources.files("minicnn.study.exercises.wrong")
    return (folder / f"{bug.name}.py").read_text(encoding="utf-8")


def mended_source(bug: Bug) -> str:
    """Return the same with the mistake mended."""
    return source_of(bug).replace(bug.wrong, bug.right)


def examine(bug: Bug, path: Path, tell: Callable[[str], object] = lambda which: None) -> list[Finding]:
    """Check the op in a learner's file on all samples of the bug.

    Forward has to give what it gave, and backward has to be right by difference quotients and, where these
    say nothing, by the convention of the mended op. `tell` is told which sample comes next.

    Raises
    ------
    UsageError
        If the file does not run, or does not define the function.
    Stopped
        If the user stops it (a KeyboardInterrupt), with the sample that it was at.
    """
    function = load_names(path).get(bug.name)
    if not callable(function):
        raise UsageError(f"{path}: there is no function `{bug.name}`, which was there at the start")
    mended: dict[str, Any] = {"__name__": bug.name}
    exec(compile(mended_source(bug), f"mended {bug.name}", "exec"), mended)
    samples = bug.drawn()
    findings = []
    for number, sample in enumerate(samples, start=1):
        with running(f'sample {number} of {len(samples)}, "{sample.label}"', path, tell):
            findings.append(_examined(function, mended[bug.name], sample, path))
    return findings


def _examined(
    function: Callable[..., Tensor], mended: Callable[..., Tensor], sample: Sample, path: Path
) -> Finding:
    called, expected = (partial(f, **sample.settings) for f in (function, mended))
    tensors = [Tensor(x) for x in sample.inputs]
    try:
        y = called(*tensors)
        report = gradcheck(called, sample.inputs, rng=np.random.default_rng(0))
        right_y = expected(*tensors).data
        if not isinstance(y, Tensor) or not matches(y.data, right_y):
            return Finding(sample, "forward gives something else than it did; it was right", report)
        if report and report.kinks:
            gy = np.random.default_rng(1).standard_normal(right_y.shape)
            gradients = (own_gradients(f, sample.inputs, {}, gy.copy()) for f in (called, expected))
            if not all(matches(a, b) for a, b in zip(*gradients, strict=True)):
                return Finding(sample, "at a kink, the gradient is not the one of the convention", report)
    except MinicnnError as error:
        return Finding(sample, str(error), None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - what somebody else writes may raise anything
        return Finding(sample, describe(error, path), None)
    return Finding(sample, "", report)
