"""The terms of a loss: what a network with several classifiers adds up.

    loss = main + 0.3 * aux1 + 0.3 * aux2           three terms, the last two with their weights

A loss that is no sum has one term, itself. Where two terms share a network, `names_of` calls each by the
module that only this one needs: an auxiliary classifier is a module, and what is left is "main".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from minicnn.study.graph import functions_below
from minicnn.tensor import Function, Tensor

MOST = 3  # a page can tell so many apart, and has keys for them


class Head(NamedTuple):
    """One term of the loss, how often it is added, and what to call it."""

    name: str
    term: Tensor
    times: int


def heads_of(loss: Tensor) -> list[Head]:
    """Return the terms of a loss; a loss with more than `MOST` of them counts as one.

    Examples
    --------
    >>> a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    >>> [(head.name, head.term.item()) for head in heads_of(a * a + b * a)]
    [('term 1', 4.0), ('term 2', 6.0)]
    >>> [head.name for head in heads_of(a * b)]
    ['loss']
    """
    terms: dict[Tensor, int] = {}
    pending = [loss]
    while pending:
        tensor = pending.pop()
        creator = tensor.creator
        if creator is not None and creator.name == "add" and all(t.size == 1 for t in creator.inputs):
            pending.extend(reversed(creator.inputs))
        elif tensor.requires_grad:
            terms[tensor] = terms.get(tensor, 0) + 1
    if not 1 < len(terms) <= MOST:
        return [Head("loss", loss, 1)]
    names = names_of(list(terms))
    return [Head(name, term, times) for name, (term, times) in zip(names, terms.items(), strict=True)]


def names_of(terms: list[Tensor]) -> list[str]:
    """Name each term after the only module that it does not share with others; "main" has none such."""
    reached = [functions_below(term) for term in terms]
    names = []
    for place, own in enumerate(reached):
        others = set().union(*(functions for other, functions in enumerate(reached) if other != place))
        modules = _outermost(own - others)
        names.append(modules.pop() if len(modules) == 1 else "main" if modules else "")
    taken = [name for name in names if name]
    if len(taken) < len(names) or len(set(taken)) < len(taken):
        return [f"term {place}" for place in range(1, len(terms) + 1)]
    return names


def _outermost(functions: Iterable[Function]) -> set[str]:
    """Names of the outermost modules that called some functions."""
    return {function.module_path.split(".")[0] for function in functions if function.module_path}
