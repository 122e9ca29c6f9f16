"""What a tensor was computed with."""

from __future__ import annotations

from minicnn.tensor import Function, Tensor


def functions_below(tensor: Tensor) -> set[Function]:
    """Return all functions that a tensor was computed with.

    Examples
    --------
    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> sorted(function.name for function in functions_below((x * x).sum()))
    ['multiply', 'sum']
    """
    found: set[Function] = set()
    pending = [tensor]
    while pending:
        creator = pending.pop().creator
        if creator is not None and creator not in found:
            found.add(creator)
            pending.extend(creator.inputs)
    return found
