"""What an exercise is, one run of a learner's backward on one sample, and what a mistake would have given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minicnn.op_cases import OpCase, Sample
from minicnn.tensor import Tensor

Predict = Callable[["Trial", str], np.ndarray | None]


class Mistake(NamedTuple):
    """A mistake people make, and the numbers it leads to.

    Attributes
    ----------
    name : str
        The likely bug in a few words, e.g. "missing transpose".
    likely : str
        What the numbers say, in one line.
    more : str
        What to do about it.
    predict : callable
        `predict(trial, gradient)` returns what the gradient of that name comes out as with this mistake, or
        None where the mistake makes no statement. Its shape may be another than the right one's.
    of : tuple of str
        Which gradients it can happen to; empty for all.
    """

    name: str
    likely: str
    more: str
    predict: Predict
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """A backward pass for a learner to write.

    Attributes
    ----------
    name, title, difficulty
        Name on the command line, what is to be done, and from 1 to 3.
    case : OpCase
        minicnn's own op, and the samples that grade.
    arguments : tuple of str
        Names of what the learner's `backward` is given after gy.
    values : callable
        `values(inputs, settings, y)` returns those arguments.
    returns : tuple of str
        Names of the gradients in the order in which `backward` returns them; empty if it returns one for
        each input, however many there are.
    source, page : str
        Where minicnn does the same, and where it is derived.
    mistakes : tuple of Mistake
        The likely ones, most telling first.
    features : mapping
        What may be true of a sample, in words, and the test for it.
    axes : mapping
        Letters for the axes of a gradient.
    as_dict : bool
        Whether `backward` returns a dict by name, because there are many gradients.
    takes : callable
        Which samples of the case are part of the exercise.
    """

    name: str
    title: str
    difficulty: int
    case: OpCase
    arguments: tuple[str, ...]
    values: Callable[[Sequence[np.ndarray], Mapping[str, Any], np.ndarray], tuple[Any, ...]]
    returns: tuple[str, ...]
    source: str
    page: str
    mistakes: tuple[Mistake, ...] = ()
    features: Mapping[str, Callable[[Sample], bool]] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    as_dict: bool = False
    takes: Callable[[Sample], bool] = lambda sample: True

    @property
    def signature(self) -> str:
        """How the learner's function is called."""
        return f"backward({', '.join(('gy', *self.arguments))})"

    def gradient_names(self, inputs: int) -> tuple[str, ...]:
        """Names of the gradients that `backward` returns for so many inputs."""
        return self.returns or tuple(f"gx[{i}]" for i in range(inputs))

    def names(self, sample: Sample) -> tuple[str, ...]:
        """Names of the gradients of a sample: not every sample has a bias."""
        count = len(sample.inputs)
        return self.gradient_names(count)[:count]

    def samples(self) -> list[Sample]:
        """Return what an attempt is graded by, always the same."""
        return [sample for sample in self.case.samples(np.random.default_rng(0)) if self.takes(sample)]


def own_gradients(
    function: Callable[..., Tensor],
    inputs: Sequence[np.ndarray],
    settings: Mapping[str, Any],
    gy: np.ndarray,
) -> list[np.ndarray]:
    """Run minicnn's own op, and return its gradient for every input."""
    tensors = [Tensor(x, requires_grad=True) for x in inputs]
    function(*tensors, **settings).backward(gy)
    return [np.zeros(t.shape, t.dtype) if t.grad is None else t.grad for t in tensors]


@dataclass(frozen=True, eq=False)
class Trial:
    """One run of a learner's backward on one sample.

    Attributes
    ----------
    exercise, sample, gy
        What was run, and with which gradient of the output.
    right : dict
        minicnn's own gradients by name.
    got : dict
        The learner's, by name, of whatever shape; empty if there is a problem.
    problem : str
        Why there are no gradients to look at.
    dtype : str
        Which gradient has another dtype than its input.
    spoiled : str
        What backward wrote to although it belongs to somebody else.
    gradcheck : str
        What the gradient checker said; empty if it was not asked.
    """

    exercise: Exercise
    sample: Sample
    gy: np.ndarray
    right: dict[str, np.ndarray]
    got: dict[str, np.ndarray]
    problem: str = ""
    dtype: str = ""
    spoiled: str = ""
    gradcheck: str = ""

    def own(
        self,
        name: str,
        gy: np.ndarray | None = None,
        inputs: Sequence[np.ndarray] | None = None,
        **settings: Any,
    ) -> np.ndarray:
        """Return minicnn's gradient of that name for another gy, other inputs or settings."""
        gradients = own_gradients(
            self.exercise.case.function,
            self.sample.inputs if inputs is None else inputs,
            {**self.sample.settings, **settings},
            self.gy if gy is None else gy,
        )
        return gradients[self.exercise.names(self.sample).index(name)]

    def gradients_of(self, function: Callable[..., Tensor]) -> dict[str, np.ndarray]:
        """Return the gradients by name that another function would give in the place of minicnn's own."""
        gradients = own_gradients(function, self.sample.inputs, self.sample.settings, self.gy)
        return dict(zip(self.exercise.names(self.sample), gradients, strict=True))

    def is_right(self, name: str) -> bool:
        """Tell whether the learner's gradient of that name is the right one."""
        return name in self.got and matches(self.got[name], self.right[name])

    @property
    def wrong(self) -> list[str]:
        """Names of the gradients that are not right."""
        return [name for name in self.right if not self.is_right(name)]

    @property
    def passed(self) -> bool:
        """Whether everything about this sample is right."""
        complaint = self.problem or self.dtype or self.spoiled or self.wrong
        return not complaint and not self.gradcheck.startswith("FAILED")


def matches(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays agree in shape, and in value but for rounding errors.

    Examples
    --------
    >>> matches(np.ones((2, 1)), np.ones((1, 2))), matches(np.ones(2), np.ones(2) + 1e-12)
    (False, True)
    """
    return a.shape == b.shape and bool((near(a, b)).all())


def near(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tell for each element of two arrays of one shape whether they agree but for rounding errors."""
    return np.isclose(a, b, rtol=1e-7, atol=1e-9)
