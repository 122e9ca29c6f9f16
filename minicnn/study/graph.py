"""What every look at a recorded graph needs: its functions, and a walk that leaves no gradients behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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


@contextmanager
def grads_set_aside(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Inside the block the tensors have no `grad`; afterwards they have their own again.

    Examples
    --------
    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> with grads_set_aside([x]):
    ...     x.sum().backward()
    ...     print(x.grad)
    [1. 1.]
    >>> print(x.grad)
    [6. 8.]
    """
    before = [(tensor, tensor.grad) for tensor in tensors]
    for tensor, _ in before:
        tensor.grad = None
    try:
        yield
    finally:
        for tensor, grad in before:
            tensor.grad = grad
