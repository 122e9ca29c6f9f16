"""One recorded op, checked by itself, and the first one on the backward path that is wrong.

When the gradient of a whole network is wrong, every op below the mistake carries it on. So each recorded
op is run again on copies of its inputs, and its backward compared with difference quotients for a random
cotangent of its own, from the last op to the first. An op that is right by itself cannot be the cause.

An op may have a hundred thousand inputs, and be wrong at a few of them only (at the border of an image,
say). Two evaluations give the derivative along a direction that changes all of them: if that agrees, so
does every coordinate, but for a very unlikely coincidence. If not, the half of the coordinates that
disagrees more is tried next, and so on to one coordinate.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minicnn.backend import Array, array_module, to_numpy
from minicnn.gradient_check.differences import (
    ErrorsByEps,
    Settings,
    Slopes,
    random_cotangent,
    resolution,
    stays,
)
from minicnn.gradient_check.findings import WrongOp, plainest
from minicnn.gradient_check.recording import Step
from minicnn.tensor import Function, Tensor


class _Moved(NamedTuple):
    """The op's output on either side of x along a direction, and which outputs met no kink in between."""

    plus: np.ndarray
    minus: np.ndarray
    smooth: np.ndarray  # of the output's shape, 0.0 where the op took another branch


class SingleOp:
    """A recorded op with copies of its inputs, and a random cotangent for its output."""

    def __init__(self, step: Step, settings: Settings, rng: np.random.Generator) -> None:
        self.step = step
        self.settings = settings
        self.rng = rng
        self.inputs = [t.data.copy(order="K") for t in step.inputs]
        self.y = to_numpy(self._forward()[1]).copy()
        self.cotangent = random_cotangent(self.y.shape, rng)

    def wrong_gradient(self, position: int) -> WrongOp | None:
        """Check the gradient of input number `position`; return what is wrong with it, or None."""
        remark = self._spoiled_arrays()
        if remark:
            return self._finding(position, remark=remark)
        gradient = self._gradient(position, self.cotangent)
        return plainest(self._wrong_coordinates(position, gradient))

    def _wrong_coordinates(self, position: int, gradient: np.ndarray) -> Iterator[WrongOp]:
        """Look for coordinates that disagree, the most conspicuous first, until one does so no more."""
        seen: list[tuple[int, ...]] = []
        while (index := self._suspect(position, gradient, seen)) is not None:
            found = self._wrong_coordinate(position, gradient, index)
            if found is None:
                return
            yield found
            seen.append(index)

    def _wrong_coordinate(
        self, position: int, gradient: np.ndarray, index: tuple[int, ...]
    ) -> WrongOp | None:
        """Compare one coordinate with difference quotients."""

        def moved_by(eps: float) -> _Moved | None:
            direction = np.zeros(gradient.shape)
            direction[index] = eps
            moved = self._move(position, direction)
            return moved if moved.smooth.all() else None

        def quotient(eps: float) -> float | None:
            if (moved := moved_by(eps)) is None:
                return None
            return float((self.cotangent * (moved.plus - moved.minus)).sum()) / (2 * eps)

        def slopes(eps: float) -> Slopes | None:
            if (moved := moved_by(eps)) is None:
                return None
            left, right = self.y - moved.minus, moved.plus - self.y
            return float((self.cotangent * left).sum()) / eps, float((self.cotangent * right).sum()) / eps

        analytic = float(gradient[index])
        numeric = quotient(self.settings.eps)
        if numeric is None:
            return None
        errors = self.settings.errors_by_eps(analytic, quotient)
        seen = resolution(self.y, self.cotangent)
        excess = self.settings.excess(analytic, numeric, float(np.abs(gradient).max()))
        if np.isnan(analytic) or (excess > 1 and stays(errors, seen)):
            kink = self.settings.at_a_kink(analytic, slopes, seen)
            return self._finding(position, index, analytic, numeric, errors, kink)
        return None

    def _finding(
        self,
        position: int,
        index: tuple[int, ...] = (),
        analytic: float = np.nan,
        numeric: float = np.nan,
        errors: ErrorsByEps = (),
        kink: bool = False,
        remark: str = "",
    ) -> WrongOp:
        function = self.step.function
        return WrongOp(
            function.name, function.module_path, position, index, analytic, numeric, errors, kink, remark
        )

    # ---- running it ----

    def _forward(self) -> tuple[Function, Array]:
        """Run the op anew, in an object of its own: what it saves belongs to this run."""
        function = copy.copy(self.step.function)
        function.saved, function.inputs, function.freed = (), (), False
        return function, function.forward(*self.inputs)

    def _gradient(self, position: int, cotangent: np.ndarray) -> np.ndarray:
        function, y = self._forward()
        gy = array_module(y).array(cotangent, dtype=y.dtype)
        return to_numpy(function.backward(gy)[position])

    def _spoiled_arrays(self) -> str:
        """Say what the op wrote to although it belongs to somebody else, if anything."""
        before = [to_numpy(x).copy() for x in self.inputs]
        function, y = self._forward()
        for i, (x, old) in enumerate(zip(self.inputs, before, strict=True)):
            if not np.array_equal(to_numpy(x), old, equal_nan=True):
                return f"its forward changes its input {i} in place"
        gy = array_module(y).array(self.cotangent, dtype=y.dtype)
        function.backward(gy)
        if not np.array_equal(to_numpy(gy), self.cotangent):
            return "its backward changes its argument gy in place, which other ops may hold"
        for i, (x, old) in enumerate(zip(self.inputs, before, strict=True)):
            if not np.array_equal(to_numpy(x), old, equal_nan=True):
                return f"its backward changes its input {i} in place"
        return ""

    def _move(self, position: int, direction: np.ndarray) -> _Moved:
        """Run the op at x + direction and x - direction."""
        x = self.inputs[position]
        sides = []
        for sign in (1, -1):
            self.inputs[position] = x + array_module(x).asarray(sign * direction)
            function, y = self._forward()
            branches = function.branches()
            sides.append((to_numpy(y).copy(), None if branches is None else to_numpy(branches)))
        self.inputs[position] = x
        (plus, plus_branches), (minus, minus_branches) = sides
        return _Moved(plus, minus, _agreement(plus_branches, minus_branches, plus.shape))

    # ---- looking for a wrong coordinate ----

    def _suspect(
        self, position: int, gradient: np.ndarray, seen: Sequence[tuple[int, ...]]
    ) -> tuple[int, ...] | None:
        """Return the coordinate that disagrees most conspicuously, or None if all of them together agree.

        Those that were `seen` before are left out.
        """
        direction = np.asarray(random_cotangent(gradient.shape, self.rng))
        for index in seen:
            direction[index] = 0
        direction = direction.ravel()
        size = gradient.size

        def disagreement(start: int, stop: int) -> float:
            part = np.zeros(size)
            part[start:stop] = direction[start:stop]
            return abs(self._directional_error(position, part.reshape(gradient.shape)))

        noise = 10 * np.finfo(np.float64).eps * np.linalg.norm(self.cotangent * self.y) / self.settings.eps
        expected = 0.01 * self.settings.rtol * np.linalg.norm(gradient.ravel() * direction)
        if size == 0 or disagreement(0, size) <= noise + expected:
            return None
        start, stop = 0, size
        while stop - start > 1:
            middle = (start + stop) // 2
            if disagreement(start, middle) >= disagreement(middle, stop):
                stop = middle
            else:
                start = middle
        return tuple(map(int, np.unravel_index(start, gradient.shape))) if gradient.shape else ()

    def _directional_error(self, position: int, direction: np.ndarray) -> float:
        """Derivative along a direction, of backward minus of differences; outputs at a kink are left out."""
        eps = self.settings.eps
        moved = self._move(position, eps * direction)
        cotangent = self.cotangent * moved.smooth
        numeric = (cotangent * (moved.plus - moved.minus)).sum() / (2 * eps)
        analytic = (self._gradient(position, cotangent) * direction).sum()
        return float(analytic - numeric)


def _agreement(plus: np.ndarray | None, minus: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return 1 for each output whose branch is the same on both sides, and 0 for the others."""
    if plus is None or minus is None:
        return np.ones(shape)
    same = plus == minus
    if same.size == np.prod(shape):
        return same.reshape(shape).astype(float)
    return np.full(shape, float(same.all()))  # it is not known which output belongs to which branch


# ---- the backward path ------------------------------------------------------------------------------

Check = Callable[[Step, int], WrongOp | None]


def backward_path(steps: Sequence[Step], output: Tensor, leaf: Tensor) -> list[tuple[Step, int]]:
    """Return the ops, and which of their inputs, that lie between `output` and `leaf`: last op first."""
    wanted = {output}
    leads_to_output = []
    for step in reversed(steps):
        if step.output in wanted:
            leads_to_output.append(step)
            wanted.update(step.inputs[i] for i in _differentiated(step))
    depends_on_leaf = {leaf}
    path = []
    for step in reversed(leads_to_output):
        positions = [i for i in _differentiated(step) if step.inputs[i] in depends_on_leaf]
        if positions:
            depends_on_leaf.add(step.output)
            path.append((step, positions))
    return [(step, position) for step, positions in reversed(path) for position in positions]


def _differentiated(step: Step) -> list[int]:
    """Number the inputs whose gradient is wanted."""
    return [i for i, needed in enumerate(step.function.needs_gradient) if needed]


def first_wrong_op(path: Sequence[tuple[Step, int]], check: Check) -> WrongOp | None:
    """Return the first finding of `check` along the path."""
    for step, position in path:
        found = check(step, position)
        if found is not None:
            return found
    return None


def single_op_check(settings: Settings, rng: np.random.Generator) -> Check:
    """Make a check of single ops that remembers what it has found: paths to different inputs overlap."""
    found: dict[tuple[Function, int], WrongOp | None] = {}

    def check(step: Step, position: int) -> WrongOp | None:
        key = step.function, position
        if key not in found:
            found[key] = SingleOp(step, settings, rng).wrong_gradient(position)
        return found[key]

    return check
