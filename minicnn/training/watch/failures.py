"""The known failures of this network, each with its detector: what to measure, and from where on it is news.

The bounds come from measurements, see "When it does not learn" in docs/training.md: each lies between what
runs that learn were seen to do and what runs broken on purpose do, and a failure is over only some way back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from minicnn.training.metrics import HEADS
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
        Takes an `Examination`, returns a number for each place (layer or block) that could be affected.
    caught, over : float
        A place is affected from `caught` on, and no longer once it is back beyond `over`. Small numbers are
        bad ones if `caught` is the smaller of the two.
    describe : callable
        Takes the numbers of the places newly affected and the `Examination`; says what is seen there.
    advice : str
        What usually helps.
    """

    kind: str
    measure: Callable[[Examination], Numbers]
    caught: float
    over: float
    describe: Callable[[Numbers, Examination], str]
    advice: str

    def affected(self, numbers: Numbers, known: set[str]) -> dict[str, float]:
        """Return the places that are affected, of which `known` were so before, with their numbers."""
        sign = 1 if self.caught > self.over else -1
        return {
            place: number
            for place, number in numbers.items()
            if sign * number >= sign * (self.over if place in known else self.caught)
        }


def _of_unequal_units(numbers: Numbers, found: Examination) -> Numbers:
    """Leave out layers whose units are all equal: that is the news then, and explains the rest."""
    return {layer: number for layer, number in numbers.items() if not found.symmetric.get(layer, False)}


def _signals_of_trunk(found: Examination) -> Numbers:
    return {block: signal for block, signal in found.signals.items() if block not in HEADS}


def _describe_dead_trunk(new: Numbers, found: Examination) -> str:
    blocks = list(found.signals)
    first = next(iter(new))
    share = f"a {new[first]:.0e} part of" if new[first] else "nothing in"
    text = f"next to nothing of the images gets past {first}: {share} its output differs from image to image"
    alive = [
        head
        for head in HEADS
        if head in blocks and blocks.index(head) < blocks.index(first) and found.signals[head] > NO_SIGNAL
    ]
    if alive:
        text += f"; {' and '.join(alive)} below it can still learn, what is above cannot"
    return text + "."


def _relative_gradients(found: Examination) -> Numbers:
    """Leave out the layers that are dead themselves: that there is no gradient is no news then."""
    largest = max(found.gradients.values(), default=0.0)
    return {
        layer: ratio / largest if largest else 0.0
        for layer, ratio in found.gradients.items()
        if found.dead.get(layer, 0.0) < DEAD and not found.symmetric.get(layer, False)
    }


def _describe_vanishing(new: Numbers, found: Examination) -> str:
    layer = min(new, key=lambda place: new[place])
    what = f"{new[layer]:.0e} of the largest layer's" if new[layer] else "zero"
    return f"next to no gradient reaches {name_places(new)}; over the weights, that of {layer} is {what}."


def _describe_dead(new: Numbers, found: Examination) -> str:
    layers = {f"{layer} ({share:.0%})": share for layer, share in new.items()}
    return (
        f"no image switches on the units of {name_places(layers)}: they hand on nothing, and have no "
        "gradient to come back with."
    )


def _describe_saturation(new: Numbers, found: Examination) -> str:
    layers = {f"{layer} ({share:.0%})": share for layer, share in new.items()}
    return (
        f"values lie on the flat ends of the activation in {name_places(layers)}: hardly any gradient gets "
        "through."
    )


def _describe_steps(new: Numbers, found: Examination) -> str:
    layers = {f"{layer} by {number:.2g}": number for layer, number in new.items()}
    return f"the last step moved {name_places(layers)} times the norm of its weights: that is a jump."


def _describe_equal_units(new: Numbers, found: Examination) -> str:
    zero = " (they are zero)" if any(layer not in found.gradients for layer in new) else ""
    return (
        f"all units of {name_places(new)} have the same weights{zero}: they compute the same, get the same "
        "gradient, and stay equal."
    )


FAILURES = (
    Failure(
        "equal units",
        lambda found: {layer: float(same) for layer, same in found.symmetric.items()},
        1.0, 0.5,
        _describe_equal_units,
        "weights that are drawn at random: --initialisation he.",
    ),
    Failure(
        "dead trunk",
        _signals_of_trunk,
        NO_SIGNAL, 1e-2,
        _describe_dead_trunk,
        "starting again, with a lower --lr and --clip-norm 2 if ReLUs are dead, with weights drawn at random "
        "if units are equal, and with --activation relu instead of sigmoid, which squeezes the signal in "
        "each layer.",
    ),
    Failure(
        "dead ReLUs",
        lambda found: _of_unequal_units(found.dead, found),
        DEAD, 0.6,
        _describe_dead,
        "a lower --lr, --clip-norm 2, or --schedule one-cycle, which warms up; from the start again, for "
        "what is off for every image stays off.",
    ),
    Failure(
        "saturation",
        lambda found: found.saturated,
        0.8, 0.6,
        _describe_saturation,
        "a lower --lr or --clip-norm 2; --activation relu, which has one flat end only.",
    ),
    Failure(
        "vanishing gradient",
        _relative_gradients,
        1e-5, 1e-4,
        _describe_vanishing,
        "what helps against dead ReLUs or a dead trunk, if there are any; otherwise --activation relu with "
        "--initialisation he, which keep the gradient as large as it was.",
    ),
    Failure(
        "exploding steps",
        lambda found: _of_unequal_units(found.moves, found),
        0.5, 0.25,
        _describe_steps,
        "--clip-norm 2; a lower --lr; --schedule one-cycle, which warms up.",
    ),
)  # fmt: skip
