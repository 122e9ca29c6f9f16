"""One check, from the first run of the function to the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from minicnn.backend import array_module, to_numpy
from minicnn.errors import ShapeError, UsageError
from minicnn.gradient_check.differences import (
    NEIGHBOURS,
    Settings,
    Slopes,
    choose_coordinates,
    random_cotangent,
    resolution,
    stays,
)
from minicnn.gradient_check.findings import Failure, Kink, plainest
from minicnn.gradient_check.recording import Place, Step, backward_gradients, first_difference, run
from minicnn.gradient_check.report import GradcheckReport, InputReport
from minicnn.gradient_check.single_op import backward_path, first_wrong_op, single_op_check
from minicnn.tensor import Tensor

# How often a function is run to see whether it always gives the same: a random mask of one or two
# elements may come out alike by chance.
REPETITIONS = 5


class _Moved(NamedTuple):
    """One coordinate on either side of its value, and what the function gives there."""

    high: np.ndarray
    low: np.ndarray
    y_plus: np.ndarray
    y_minus: np.ndarray


class Examination:
    """One check of one function. `tensors` are leaves whose data may be changed in place."""

    def __init__(
        self,
        fn: Callable[..., Tensor],
        tensors: Sequence[Tensor],
        names: Sequence[str],
        settings: Settings,
        samples: int | None,
        rng: np.random.Generator,
        progress: Callable[[], object],
    ) -> None:
        self.fn = fn
        self.tensors = tensors
        self.names = names
        self.settings = settings
        self.samples = samples
        self.rng = rng
        self.progress = progress
        self.steps: list[Step] = []
        self.output, _ = run(fn, tensors, self.steps)
        self.cotangent = random_cotangent(self.output.shape, rng)
        self.resolution = resolution(to_numpy(self.output.data), self.cotangent)
        self.check_op = single_op_check(settings, rng)

    def report(self) -> GradcheckReport:
        y = to_numpy(self.output.data)
        if not np.isfinite(y).all():
            bad = tuple(map(int, np.argwhere(~np.isfinite(y))[0]))
            return GradcheckReport(
                problem=f"fn returned {y[bad]} at {list(bad)}: there is no gradient to check"
            )
        for _ in range(REPETITIONS - 1):
            if problem := self._changed(y):
                return GradcheckReport(problem=problem)

        # A copy: a backward that writes to what it is given shall not change what the quotients are of.
        gy = array_module(self.output.data).array(self.cotangent)
        gradients = backward_gradients(self.output, gy, self.tensors, self.steps)
        failures: list[Failure] = []
        kinks: list[Kink] = []
        reports = []
        for position, gradient in enumerate(gradients):
            new_failures, new_kinks, report = self._check_input(position, gradient)
            failures += new_failures
            kinks += new_kinks
            reports.append(report)
        if problem := self._changed(y):
            return GradcheckReport(problem=problem)
        return GradcheckReport(tuple(failures), tuple(kinks), tuple(reports))

    def _changed(self, y: np.ndarray) -> str:
        """Run `fn` once more; say if it did not give `y` again."""
        again = to_numpy(run(self.fn, self.tensors).output.data)
        if np.array_equal(again, y):
            return ""
        if again.shape == y.shape:
            difference = f"they differ by up to {np.abs(again - y).max():.3g}"
        else:
            difference = f"their shapes are {y.shape} and {again.shape}"
        return (
            f"fn gives different results for the same input ({difference}), so nothing can be checked; "
            "is there a random number in it? Make the generator anew inside fn: rng=np.random.default_rng(0)"
        )

    # ---- one input ----

    def _check_input(
        self, position: int, gradient: np.ndarray
    ) -> tuple[list[Failure], list[Kink], InputReport]:
        name, tensor = self.names[position], self.tensors[position]
        coordinates = choose_coordinates(tensor.shape, self.samples, self.rng)
        kinks, smooth = [], []
        for index in coordinates:
            quotient = self._quotient(position, index, self.settings.eps)
            if isinstance(quotient, Place):
                kinks.append(Kink(position, name, index, *quotient))
            else:
                smooth.append(Failure(position, name, index, float(gradient[index]), quotient))
            self.progress()

        scale = max((abs(c.numeric) for c in smooth), default=0.0)
        failures = [c for c in smooth if self.settings.disagree(c.analytic, c.numeric)]
        failures = self._look_closer(failures or smooth, failures, scale)
        analytic, numeric = np.array([(c.analytic, c.numeric) for c in smooth]).reshape(-1, 2).T
        error = np.abs(analytic - numeric)
        size = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), scale / 100)
        report = InputReport(
            name=name,
            shape=tensor.shape,
            checked=len(coordinates),
            kinks=len(kinks),
            failures=len(failures),
            max_abs_err=float(error.max(initial=0)),
            max_rel_err=float((error / np.where(size == 0, 1, size)).max(initial=0)),
            largest_gradient=scale,
        )
        return self._with_culprit(position, failures), kinks, report

    def _quotient(self, position: int, index: tuple[int, ...], eps: float) -> float | Place:
        """Difference quotient at one coordinate, or where a kink is in the way."""
        moved = self._move(position, index, eps)
        if isinstance(moved, Place):
            return moved
        # The difference first: outputs that do not depend on this coordinate then add no rounding errors.
        # And x + eps is rounded too, so the distance is what it came out as.
        return float((self.cotangent * (moved.y_plus - moved.y_minus)).sum()) / float(moved.high - moved.low)

    def _slopes(self, position: int, index: tuple[int, ...], eps: float) -> Slopes | None:
        """Difference quotients to the left and to the right, unless a kink is in the way."""
        moved = self._move(position, index, eps)
        if isinstance(moved, Place):
            return None
        x, y = self.tensors[position].data[index], to_numpy(self.output.data)
        left = float((self.cotangent * (y - moved.y_minus)).sum()) / float(x - moved.low)
        right = float((self.cotangent * (moved.y_plus - y)).sum()) / float(moved.high - x)
        return left, right

    def _move(self, position: int, index: tuple[int, ...], eps: float) -> _Moved | Place:
        """Run the function with one coordinate changed both ways, or tell where a kink is in the way."""
        array = self.tensors[position].data
        x = array[index].copy()
        try:
            array[index] = x + eps
            high, plus = array[index].copy(), run(self.fn, self.tensors)
            y_plus = to_numpy(plus.output.data).copy()
            array[index] = x - eps
            low, minus = array[index].copy(), run(self.fn, self.tensors)
            y_minus = to_numpy(minus.output.data).copy()
        finally:
            array[index] = x
        if high == low:
            raise UsageError(
                f"gradcheck: eps: expected a step width that changes {self.names[position]}{list(index)} = "
                f"{float(x):g}, got {eps:g}"
            )
        place = first_difference(plus.choices, minus.choices)
        if place is not None:
            return place
        if y_plus.shape != y_minus.shape or y_plus.shape != self.cotangent.shape:
            raise ShapeError(
                f"gradcheck: fn: expected results of one shape, got {self.cotangent.shape} at x, "
                f"{y_plus.shape} at x + eps and {y_minus.shape} at x - eps"
            )
        return _Moved(high, low, y_plus, y_minus)

    # ---- wrong gradients ----

    def _look_closer(self, suspects: list[Failure], failures: list[Failure], scale: float) -> list[Failure]:
        """Measure the worst coordinate at several step widths: also within the tolerance it may be wrong."""

        def excess(c: Failure) -> float:
            return self.settings.excess(c.analytic, c.numeric, scale)

        worst_first = sorted(suspects, key=excess, reverse=True)
        if not failures:
            measured = [self._measured(c) for c in worst_first[:1] if not excess(c) <= 1]
            return [c for c in measured if stays(c.errors_by_eps, self.resolution)]
        shown = plainest(map(self._measured, worst_first)) or worst_first[0]
        return [shown if c.index == shown.index else c for c in failures]

    def _measured(self, suspect: Failure) -> Failure:
        """Measure the error of a coordinate at several step widths, and see whether it is at a kink."""

        def quotient(eps: float) -> float | None:
            value = self._quotient(suspect.input, suspect.index, eps)
            return None if isinstance(value, Place) else value

        errors = self.settings.errors_by_eps(suspect.analytic, quotient)
        slopes = partial(self._slopes, suspect.input, suspect.index)
        kink = stays(errors, self.resolution) and self.settings.at_a_kink(
            suspect.analytic, slopes, self.resolution
        )
        return replace(suspect, errors_by_eps=errors, kink=kink)

    def _moves(self, failure: Failure) -> bool:
        errors = failure.errors_by_eps
        return len(errors) >= NEIGHBOURS and not stays(errors)

    def _with_culprit(self, position: int, failures: list[Failure]) -> list[Failure]:
        if not failures:
            return []
        path = backward_path(self.steps, self.output, self.tensors[position])
        found = first_wrong_op(path, self.check_op)
        explanation = ""
        if found is None and not path:
            explanation = (
                f"{self.names[position]}: no recorded op leads from here to the result; is it computed under "
                "no_grad(), or from .data, .numpy() or .detach()?"
            )
        elif found is None and any(self._moves(c) for c in failures):
            explanation = (
                f"{self.names[position]}: the error moves with eps, so it may be that of the difference "
                "quotient; try another eps"
            )
        elif found is None:
            explanation = (
                f"{self.names[position]}: look at how the contributions of several consumers of one tensor "
                "are summed, and at values that bypass the graph (.data, .numpy(), .detach())"
            )
        return [replace(c, first_wrong_op=found, explanation=explanation) for c in failures]
