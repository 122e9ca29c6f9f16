"""What GoogLeNet returns, and the loss that trains it."""

from __future__ import annotations

from typing import NamedTuple

from minicnn import functional as F
from minicnn.backend import Array
from minicnn.tensor import Tensor


class GoogLeNetOutput(NamedTuple):
    """Logits of the main classifier and of the auxiliary heads, each (N, classes).

    The heads are None where they were not run: in evaluation mode, or in a network without heads.
    """

    logits: Tensor
    aux1: Tensor | None
    aux2: Tensor | None


def as_output(out: object) -> GoogLeNetOutput | None:
    """Take what a network returned for a GoogLeNetOutput: logits alone are those of a main classifier.

    None if they are neither, or not (N, classes) each.
    """
    if isinstance(out, Tensor):
        out = GoogLeNetOutput(out, None, None)
    if not isinstance(out, GoogLeNetOutput) or out.logits is None:
        return None
    heads = [head for head in out if head is not None]
    return out if all(isinstance(head, Tensor) and head.ndim == 2 and head.size for head in heads) else None


def described(out: object) -> str:
    """Say what a network returned that `as_output` does not take.

    Examples
    --------
    >>> import numpy as np
    >>> described(Tensor(np.ones((2, 3, 4)))), described([1])
    ('a Tensor of shape (2, 3, 4)', 'a list')
    >>> described(GoogLeNetOutput(Tensor(np.ones((2, 3))), None, [1]))
    'a GoogLeNetOutput of a Tensor of shape (2, 3), None, a list'
    """
    if isinstance(out, GoogLeNetOutput):
        return f"a GoogLeNetOutput of {', '.join(map(described, out))}"
    if out is None:
        return "None"
    return f"a {type(out).__name__}" + (f" of shape {out.shape}" if isinstance(out, Tensor) else "")


def total_loss(out: GoogLeNetOutput, labels: Array, aux_weight: float = 0.3) -> Tensor:
    """Add up the losses of the main classifier and, weighted, of the heads that were run.

    Parameters
    ----------
    out : GoogLeNetOutput
        What the network returned.
    labels : array of shape (N,)
        Integer classes.
    aux_weight : float, default=0.3
        Weight of each head.

    Returns
    -------
    Tensor of shape ()
        main + aux_weight * (aux1 + aux2).

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", 2014, section 5.
    """
    loss = F.cross_entropy(out.logits, labels)
    for head in (out.aux1, out.aux2):
        if head is not None:
            loss = loss + aux_weight * F.cross_entropy(head, labels)
    return loss
