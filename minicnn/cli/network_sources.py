"""Networks that a command can be given: one of ours by its name, or the user's own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from minicnn import models
from minicnn.cli.users_network import make_users_network
from minicnn.cli.values import model_name, positive_whole_number
from minicnn.nn import Module


@dataclass(frozen=True)
class NetworkSource:
    """Where a network comes from; `make` makes it.

    Attributes
    ----------
    name : str
        As typed, with - for _ in the names of ours.
    is_named : bool
        Whether it is one of ours.
    """

    name: str
    is_named: bool

    def make(self, width: float | None = None) -> Module:
        """Make the network; `width` is for googlenet-cifar."""
        return named_networks()[self.name](width) if self.is_named else make_users_network(self.name)


def named_networks() -> dict[str, Callable[[float | None], Module]]:
    """Return how our networks are made, by name."""
    return {
        "googlenet": lambda width: models.googlenet(),
        "googlenet-cifar": lambda width: models.googlenet_cifar(width=width or 1.0),
        "alexnet": lambda width: models.alexnet(blank=True),
        "vgg16": lambda width: models.vgg16(blank=True),
    }


def network_source(text: str) -> NetworkSource:
    """Read the name of a network, "package.module:factory" or "file.py:factory"."""
    if ":" in text:
        return NetworkSource(text, is_named=False)
    name = model_name(text)
    if name not in named_networks():
        raise argparse.ArgumentTypeError(
            f"invalid choice: '{text}' (choose from {', '.join(named_networks())}, package.module:factory, "
            "file.py:factory)"
        )
    return NetworkSource(name, is_named=True)


def sizes(text: str) -> tuple[int, ...]:
    """Read "28x28x1" or "784"."""
    return tuple(positive_whole_number(part) for part in text.split("x"))
