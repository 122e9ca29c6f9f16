"""One case for each op of `minicnn.functional`: the tests, `minicnn gradcheck` and the exercises use them.

    for case in CASES.values():
        for sample in case.samples(np.random.default_rng(0)):
            y = case.function(*map(Tensor, sample.inputs), **sample.settings)
            expected = case.reference(*sample.inputs, **sample.settings)

The references are what the ops are measured against, so they are written to be read and not to be fast:
one loop for every index of the formula. They also give exact derivatives. For a tiny step h along i, the
square root of -1,

    f(x + i*h*v) = f(x) + i*h * f'(x) v + terms with h^2

so the imaginary part of a reference at x + i*h*v, divided by h, is the derivative along v, with all
digits: unlike in a difference quotient nothing cancels, and h may be 1e-30. Where an op has a kink, the
references compare real parts and go the same way as the ops do: the first of equal maxima wins.

References
----------
Squire, Trapp, "Using complex variables to estimate derivatives of real functions", 1998.
"""

from minicnn.op_cases import (
    channels,
    convolution,
    elementwise,
    inception,
    pooling,
    products,
    reductions,
    shaping,
)
from minicnn.op_cases.case import ErrorCase, OpCase, Sample

CASES: dict[str, OpCase] = {
    case.name: case
    for family in (convolution, inception, pooling, channels, products, elementwise, reductions, shaping)
    for case in family.CASES
}

__all__ = ["CASES", "ErrorCase", "OpCase", "Sample"]
