"""Which op, or which layer, an error came from: read from the calls that led to it."""

from __future__ import annotations

import traceback

from minicnn.nn import Module
from minicnn.tensor import Function


def culprit(error: BaseException, model: Module) -> str:
    """Name the innermost op or layer in which an error, or the one that caused it, was raised.

    Parameters
    ----------
    error : exception
        Caught, so that it knows its calls.
    model : Module
        In which layers have their paths.

    Returns
    -------
    str
        As in "matmul in attention.scores", "the gradient of matmul in attention.scores", "attention.scores"
        if no op was running there, or "something outside of its layers".

    Examples
    --------
    >>> from minicnn import Tensor, nn
    >>> class Careless(nn.Module):
    ...     def forward(self, x):
    ...         raise RuntimeError
    >>> model = nn.Sequential(nn.ReLU(), Careless())
    >>> try:
    ...     _ = model(Tensor([1.0]))
    ... except RuntimeError as error:
    ...     culprit(error, model)
    '1'
    """
    paths = {id(module): path for path, module in model.named_modules()}
    found = "something outside of its layers"
    for frame, _ in traceback.walk_tb((error.__cause__ or error).__traceback__):
        running = frame.f_locals.get("self")
        if isinstance(running, Function) and frame.f_code.co_name in ("forward", "backward"):
            of_gradient = frame.f_code.co_name == "backward"
            found = f"the gradient of {running.title}" if of_gradient else running.title
        elif isinstance(running, Module) and paths.get(id(running)):
            found = paths[id(running)]
    return found
