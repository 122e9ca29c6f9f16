"""Named ways to train a network: `--recipe default|paper|caffe|blog`.

A recipe is a full set of training settings. What it does not spell out below is the plain choice that
`Recipe` gives it. Every setting can be overridden on the command line.
"""

from __future__ import annotations

from dataclasses import dataclass

from minicnn.errors import UsageError
from minicnn.nn.schemes import Scheme

SCHEDULES = ("one-cycle", "cosine", "poly", "step", "plateau", "constant")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about how to train, as opposed to what on.

    Attributes
    ----------
    epochs, batch_size : int
    lr : float
        The rate that the schedule's factor multiplies.
    schedule : str
        One of `SCHEDULES`; the five settings after it each belong to one schedule.
    warm_up : float
        one-cycle: share of the run in which the rate rises.
    step_epochs, step_factor : int, float
        step: multiply the rate by `step_factor` every `step_epochs` epochs.
    poly_power : float
        poly: exponent.
    patience : int
        plateau: epochs without improvement after which the rate is divided by ten.
    momentum, nesterov, weight_decay
        As in `optim.SGD`; biases are never decayed.
    clip_norm : float
        Largest norm of all gradients together, see `optim.clip_gradients`; 0 for no limit.
    bias_lr_factor : float
        Rate of the biases, relative to that of the weights.
    aux_weight : float
        Weight of each auxiliary head's loss.
    average_epochs : float
        Window of Polyak averaging in epochs; 0 for none.
    augment : bool
        Whether training images are cropped at random and mirrored.
    initialisation : str
        "he", "glorot", "caffe" or, for demonstration, "zero".
    width : float
        Scale of the channel counts of googlenet-cifar.
    """

    epochs: int
    batch_size: int
    lr: float
    schedule: str
    warm_up: float = 0.25
    step_epochs: int = 8
    step_factor: float = 0.96
    poly_power: float = 0.5
    patience: int = 3
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    bias_lr_factor: float = 1.0
    aux_weight: float = 0.3
    average_epochs: float = 0.0
    augment: bool = True
    initialisation: Scheme = "he"
    width: float = 0.25


# --recipe default: by network and data, because what fits depends on both. Meant for two CPU cores: a few
# minutes on the shapes, half an hour on CIFAR-10.
DEFAULTS: dict[tuple[str, str], Recipe] = {
    ("googlenet-cifar", "shapes"): Recipe(
        epochs=3, batch_size=64, lr=0.05, schedule="one-cycle", nesterov=True, clip_norm=2.0,
        weight_decay=1e-4, width=0.25,
    ),
    ("googlenet-cifar", "cifar10"): Recipe(
        epochs=9, batch_size=64, lr=0.05, schedule="one-cycle", nesterov=True, clip_norm=2.0,
        weight_decay=5e-4, width=0.25,
    ),
    ("googlenet-cifar", "folder"): Recipe(
        epochs=30, batch_size=32, lr=0.03, schedule="one-cycle", nesterov=True, clip_norm=2.0,
        weight_decay=5e-4, width=0.25,
    ),
    ("googlenet", "shapes"): Recipe(
        epochs=5, batch_size=32, lr=0.02, schedule="one-cycle", nesterov=True, clip_norm=2.0,
        weight_decay=2e-4,
    ),
    ("googlenet", "cifar10"): Recipe(
        epochs=9, batch_size=32, lr=0.02, schedule="one-cycle", nesterov=True, clip_norm=2.0,
        weight_decay=2e-4,
    ),
    ("googlenet", "folder"): Recipe(
        epochs=30, batch_size=32, lr=0.02, schedule="one-cycle", nesterov=True, clip_norm=2.0,
        weight_decay=2e-4,
    ),
}  # fmt: skip

# The same for every network and data set: they are quoted, not tuned.
PUBLISHED: dict[str, Recipe] = {
    # Szegedy et al. 2014, section 6: momentum 0.9, -4% every 8 epochs, Polyak averaging. The paper gives
    # no rate, batch size, decay or length; those are of Caffe's solver for it (10M iterations of 32).
    "paper": Recipe(
        epochs=250, batch_size=32, lr=0.01, schedule="step", weight_decay=2e-4, average_epochs=1.0
    ),
    # bvlc_googlenet/quick_solver.prototxt: 2.4M iterations of 32 images.
    "caffe": Recipe(
        epochs=60, batch_size=32, lr=0.01, schedule="poly", weight_decay=2e-4, bias_lr_factor=2.0,
        initialisation="caffe",
    ),
    # The blog post with a Keras version, on CIFAR-10 resized to 224.
    "blog": Recipe(
        epochs=25, batch_size=256, lr=0.01, schedule="step", augment=False, initialisation="glorot"
    ),
}  # fmt: skip

RECIPES = ("default", *PUBLISHED)


def find_recipe(name: str, model: str, data: str) -> Recipe:
    """Look up the settings of a recipe.

    Parameters
    ----------
    name : str
        One of `RECIPES`.
    model, data : str
        Name of the network and of the data set; the recipe "default" depends on them.

    Raises
    ------
    UsageError
        For an unknown name.

    Examples
    --------
    >>> find_recipe("caffe", "googlenet", "cifar10").schedule
    'poly'
    """
    if name in PUBLISHED:
        return PUBLISHED[name]
    if name != "default":
        raise UsageError(f"--recipe: expected one of {', '.join(RECIPES)}, got '{name}'")
    if (model, data) not in DEFAULTS:
        raise UsageError(f"--recipe: there are no default settings for network '{model}' on data '{data}'")
    return DEFAULTS[model, data]
