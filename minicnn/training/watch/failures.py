"""The known failures of this network, each with its detector: what to measure, and from where on it is news.

The bounds come from measurements, see "When it does not learn" in docs/training.md: each lies between what
runs that learn were seen to do and what runs broken on purpose do, and a failure is over only some way back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from minicnn.training.metrics import HEADS
from minicnn.training.watch.causes import (
    ACTIVATION,
    DECAY,
    INITIALISATION,
    TOO_LONG_STEPS,
    Cause,
)
from minicnn.training.watch.examination import Examination
from minicnn.training.watch.findings import name_places

Numbers = Mapping[str, float]

NO_SIGNAL = 1e-3
DEAD = 0.8


@dataclass(frozen=True)
class Failure:
    """A way in which training goes wrong.

    Attributes
    ----------
    kind : str
        Its name.
    measure : callable
        Takes an `Examination`, returns a number for each place (layer or block) that could be affected, in
        the order of the network.
    caught, over : float
        A place is affected from `caught` on, and no longer once it is back beyond `over`. Small numbers are
        bad ones if `caught` is the smaller of the two.
    describe : callable
        Takes the numbers of the places affected and the `Examination`; says what is seen there.
    write : callable
        Takes the number of a place, puts it in words.
    causes : tuple of Cause
        The settings that may be to blame, the most likely first.
    comes_on : bool
        Whether it comes on gradually, through one place after the other: then, once one is caught, all that
        are not beyond `over` are affected, so that the first of them is where it begins.
    """

    kind: str
    measure: Callable[[Examination], Numbers]
    caught: float
    over: float
    describe: Callable[[Numbers, Examination], str]
    write: Callable[[float], str]
    causes: tuple[Cause, ...]
    comes_on: bool = False

    def affected(self, numbers: Numbers, known: set[str]) -> dict[str, float]:
        """Return the places that are affected, of which `known` were so before, with their numbers."""
        sign = 1 if self.caught > self.over else -1
        caught = {place for place, number in numbers.items() if sign * number >= sign * self.caught}
        suspects = set(numbers) if self.comes_on and (caught or known) else caught | known
        return {
            place: number
            for place, number in numbers.items()
            if place in suspects and sign * number >= sign * self.over
        }


def _of_unequal_units(numbers: Numbers, found: Examination) -> Numbers:
    """Leave out layers whose units are all equal: that is the news then, and explains the rest."""
    return {layer: number for layer, number in numbers.items() if not found.symmetric.get(layer, False)}


def _in_per_cent(number: float) -> str:
    return f"{number:.0%}"


def _as_power(number: float) -> str:
    return f"{number:.0e}" if number else "0"


def _as_share_of_norm(number: float) -> str:
    return f"by {number:.2g} of its norm"


def _each(numbers: Numbers, write: Callable[[float], str]) -> str:
    return name_places({place: write(number) for place, number in numbers.items()})


# ---- dead trunk ----


def _signals_of_trunk(found: Examination) -> Numbers:
    return {block: signal for block, signal in found.signals.items() if block not in HEADS}


def _write_share(share: float) -> str:
    if not share:
        return "nothing"
    return f"{100 * share:.2g}%" if share >= 1e-6 else "less than 0.0001%"


def _describe_dead_trunk(affected: Numbers, found: Examination) -> str:
    blocks = list(found.signals)
    first, last = next(iter(affected)), list(affected)[-1]
    text = (
        f"from {first} on it hardly matters what the image is: {_write_share(affected[first])} of its output "
        "differs from image to image"
    )
    if _write_share(affected[last]) != _write_share(affected[first]):
        text += f", {_write_share(affected[last])} in {last}"
    text += "; 5% or more in runs that learn."
    alive = [
        head
        for head in HEADS
        if head in blocks and blocks.index(head) < blocks.index(first) and found.signals[head] > NO_SIGNAL
    ]
    if alive:
        text += f" {' and '.join(alive)} below it can still learn, what is above cannot."
    return text


# ---- dead ReLUs, saturation ----


def _describe_dead(affected: Numbers, found: Examination) -> str:
    return (
        f"no image switches on most units of {_each(affected, _in_per_cent)}; in runs that learn at most 50% "
        "are off. They have no gradient to come back with: it takes a new start."
    )


def _describe_saturation(affected: Numbers, found: Examination) -> str:
    return (
        f"most values of {_each(affected, _in_per_cent)} lie where the activation is flat, and hardly any "
        "gradient gets through; in runs that learn at most 10% do."
    )


# ---- gradients and steps ----


def _relative_gradients(found: Examination) -> Numbers:
    """Leave out the layers that are dead themselves: that there is no gradient is no news then."""
    largest = max(found.gradients.values(), default=0.0)
    return {
        layer: ratio / largest if largest else 0.0
        for layer, ratio in found.gradients.items()
        if found.dead.get(layer, 0.0) < DEAD and not found.symmetric.get(layer, False)
    }


def _describe_vanishing(affected: Numbers, found: Examination) -> str:
    return (
        f"next to no gradient reaches {_each(affected, _as_power)}. In brackets: gradient over weights, the "
        "largest layer's being 1; 2.5e-04 or more in runs that learn."
    )


def _describe_steps(affected: Numbers, found: Examination) -> str:
    return (
        f"the last step was a jump: it moved {_each(affected, _as_share_of_norm)}; at most 0.21 in runs that "
        "learn."
    )


def _describe_equal_units(affected: Numbers, found: Examination) -> str:
    zero = ", zero" if any(layer not in found.gradients for layer in affected) else ""
    return (
        f"all units of {name_places(dict.fromkeys(affected, ''))} have the same weights{zero}: they compute "
        "the same, get the same gradient, and stay equal."
    )


FAILURES = (
    Failure(
        "equal units",
        lambda found: {layer: float(same) for layer, same in found.symmetric.items()},
        1.0, 0.5,
        _describe_equal_units,
        lambda number: "",
        (INITIALISATION,),
    ),
    Failure(
        "dead trunk",
        _signals_of_trunk,
        NO_SIGNAL, 1e-2,
        _describe_dead_trunk,
        _write_share,
        (*TOO_LONG_STEPS, ACTIVATION, INITIALISATION, DECAY),
        comes_on=True,
    ),
    Failure(
        "dead ReLUs",
        lambda found: _of_unequal_units(found.dead, found),
        DEAD, 0.6,
        _describe_dead,
        _in_per_cent,
        (*TOO_LONG_STEPS, DECAY),
    ),
    Failure(
        "saturation",
        lambda found: found.saturated,
        0.8, 0.6,
        _describe_saturation,
        _in_per_cent,
        (*TOO_LONG_STEPS, ACTIVATION),
    ),
    Failure(
        "vanishing gradient",
        _relative_gradients,
        1e-5, 1e-4,
        _describe_vanishing,
        _as_power,
        (*TOO_LONG_STEPS, ACTIVATION, INITIALISATION, DECAY),
    ),
    Failure(
        "exploding steps",
        lambda found: _of_unequal_units(found.moves, found),
        0.5, 0.25,
        _describe_steps,
        _as_share_of_norm,
        TOO_LONG_STEPS,
    ),
)  # fmt: skip
