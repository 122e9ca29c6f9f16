"""Where the first number that is not finite came from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from minicnn.backend import Array, array_module
from minicnn.nn import Module
from minicnn.tensor import Function, Tensor, composed, no_grad, observe


def find_first_nonfinite(model: Module, images: Array) -> str:
    """Run the network again, op by op, and say in words where the first infinite or undefined number appears.

    Parameters
    ----------
    model : Module
        With the weights, and the dropouts, that gave a loss that is not finite.
    images : array of shape (N, H, W, C)
        The batch that did.
    """
    if not _all_finite(images):
        return "the images hold numbers that are not finite"
    for name, parameter in model.named_parameters():
        if not _all_finite(parameter.data):
            return f"{name} holds numbers that are not finite"
    found: list[str] = []

    def look(function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if not found and not _all_finite(output.data):
            found.append(function.title)

    with no_grad(), composed(), observe(look):
        model(Tensor(images))
    return f"the first of these numbers came from {found[0]}" if found else "it came up in the loss itself"


def _all_finite(array: Array) -> bool:
    return bool(array_module(array).isfinite(array).all())


@contextmanager
def quiet_overflow() -> Iterator[None]:
    """Silence NumPy's overflow warnings: whoever trains reports divergence once, in words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
