"""`gradcheck`: the gradient of a function of tensors against difference quotients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.backend import Array, is_array
from minicnn.errors import DTypeError, UsageError
from minicnn.gradient_check.differences import Settings
from minicnn.gradient_check.examination import Examination
from minicnn.gradient_check.recording import private_leaves
from minicnn.gradient_check.report import GradcheckReport
from minicnn.parallel import pinned_blas
from minicnn.random import checked_generator
from minicnn.shapes import integer
from minicnn.tensor import Tensor


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Sequence[Array | Tensor] | Array | Tensor,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-4,
    rng: np.random.Generator | None = None,
    samples: int | None = None,
) -> GradcheckReport:
    """Compare the gradient of `fn` with central difference quotients.

    With a random cotangent gy, L(x) = <gy, fn(x)> is a number. Its gradient, backward(gy), is compared
    coordinate by coordinate with (L(x + eps) - L(x - eps)) / 2 eps. If a coordinate disagrees, every
    recorded op is checked by itself, and the first wrong one on the backward path is named.

    Parameters
    ----------
    fn : callable
        Maps Tensors to one Tensor of any shape, and always to the same one.
    inputs : sequence of arrays or Tensors
        float64, one for each argument of `fn`; a single one may come without the list. All of them are
        checked. Parameters of a module may be among them: they are changed in place for the moment.
    eps : float, default=1e-6
        Step width.
    atol, rtol : float, default=1e-6 and 1e-4
        A gradient is wrong if it differs from the quotient by more than atol + rtol * |quotient|; or by
        more than half of that (and with atol scaled down to where all gradients of an input are small)
        if the difference is the same at several step widths, so that the quotient is not to blame.
    rng : numpy.random.Generator, optional
        For the cotangent and the choice of samples; left out, a fresh generator.
    samples : int, optional
        How many coordinates of each input to check; left out, all.

    Returns
    -------
    GradcheckReport
        True if no gradient is wrong. Coordinates within eps of a kink of a ReLU or a max are listed in
        `kinks`; a function that gives different results for the same input is a `problem`.

    Raises
    ------
    DTypeError
        If an input or the result is not float64.
    UsageError
        If a setting is out of range, or `fn` returns no Tensor.

    Examples
    --------
    >>> from minicnn import functional as F
    >>> x = np.array([0.5, -1.0, 0.0])
    >>> report = gradcheck(F.relu, [x], rng=np.random.default_rng(0))
    >>> bool(report)
    True
    >>> print(report.kinks[0])
    input 0[2]: relu at element [2]
    """
    tensors = _as_tensors(inputs)
    names = [f"input {i}" for i in range(len(tensors))]
    return check(fn, tensors, names, Settings(eps, atol, rtol), samples, checked_generator(rng))


def check(
    fn: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    names: Sequence[str],
    settings: Settings,
    samples: int | None,
    rng: np.random.Generator,
    progress: Callable[[], object] = lambda: None,
) -> GradcheckReport:
    """Do the work of `gradcheck`; `progress()` is called after each coordinate."""
    if samples is not None:
        samples = integer("gradcheck", "samples", samples, minimum=1)
    for tensor, name in zip(tensors, names, strict=True):
        _check_dtype(tensor, name)
    # A step may lead out of fn's domain (the logarithm's, say): then the report says so, not a warning.
    with pinned_blas(), np.errstate(all="ignore"), private_leaves(tensors):
        return Examination(fn, tensors, names, settings, samples, rng, progress).report()


def _as_tensors(inputs: Any) -> list[Tensor]:
    if isinstance(inputs, Tensor) or is_array(inputs):
        inputs = [inputs]
    if len(inputs) == 0:
        raise UsageError("gradcheck: inputs: expected at least one array or Tensor, got none")
    return [x if isinstance(x, Tensor) else Tensor(x if is_array(x) else np.asarray(x)) for x in inputs]


def _check_dtype(tensor: Tensor, name: str) -> None:
    if tensor.dtype == np.float64:
        return
    if tensor.dtype.kind == "f":
        advice = "use x.astype(np.float64), for a network model.astype(np.float64)"
    else:
        advice = "keep what has no gradient, such as labels, inside fn: lambda x: F.cross_entropy(x, labels)"
    raise DTypeError(f"gradcheck: {name}: expected float64, got {tensor.dtype}; {advice}")
