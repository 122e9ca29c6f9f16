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
