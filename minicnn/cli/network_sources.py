"""Networks that a command can be given: one of ours by its name, or the user's own."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from minicnn import models
from minicnn.cli.values import model_name, positive_whole_number
from minicnn.errors import UsageError
from minicnn.nn import Conv2d, Linear, Module

DEFAULT_SIZE = 224
SMALL_SIZE = 32  # of the embedded images
DEFAULT_CHANNELS = 3


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
        return named_networks()[self.name](width) if self.is_named else _users_network(self.name)


def named_networks() -> dict[str, Callable[[float | None], Module]]:
    """Return how our networks are made, by name."""
    return {
        "googlenet": lambda width: models.googlenet(),
        "googlenet-cifar": lambda width: models.googlenet_cifar(width=width or 1.0),
        "alexnet": lambda width: models.alexnet(blank=True),
        "vgg16": lambda width: models.vgg16(blank=True),
    }


def is_users_network(text: str) -> bool:
    """Tell whether a text names a network of the user's, and neither one of ours nor a file."""
    return ":" in text and text.rpartition(":")[2].isidentifier() and not Path(text).exists()


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


def default_input(network: Module, size: int | None) -> tuple[int, ...]:
    """Return the shape of one input: the network's own, or what its first layer takes.

    Parameters
    ----------
    network : Module
        One with an attribute `input_size`, (H, W, C), says itself what it takes.
    size : int or None
        Height and width, if the user has given them.
    """
    own = getattr(network, "input_size", (DEFAULT_SIZE, DEFAULT_SIZE, None))
    if not isinstance(own, tuple | list) or len(own) != 3:
        raise UsageError(f"{type(network).__name__}.input_size: expected (H, W, C), got {own!r}")
    H, W, C = own
    layers = [layer for _, layer in network.named_modules() if isinstance(layer, Conv2d | Linear)]
    if C is None and layers:
        first = layers[0]
        if isinstance(first, Linear) and size is None:
            return (first.weight.shape[0],)
        if isinstance(first, Conv2d):
            C = first.weight.shape[2] * first.groups
    return (size or H, size or W, C or DEFAULT_CHANNELS)


def users_image_network(text: str) -> tuple[Module, int]:
    """Make a network of the user's that takes square colour images; return it with their height."""
    network = _users_network(text)
    H, W, C = (*default_input(network, None if hasattr(network, "input_size") else SMALL_SIZE), 0, 0)[:3]
    if H != W or C != DEFAULT_CHANNELS:
        raise UsageError(
            f"{text}: expected a network for square images of {DEFAULT_CHANNELS} colours, got one for "
            f"{H}x{W}x{C}"
        )
    return network, H


def _users_network(text: str) -> Module:
    source, _, name = text.rpartition(":")
    module = _imported(source)
    if not hasattr(module, name):
        raise UsageError(f"{source}: there is no {name or 'name after the colon'} in it")
    made = getattr(module, name)
    if not isinstance(made, Module):
        if not callable(made):
            raise UsageError(f"{text}: expected a Module or what makes one, got {type(made).__name__}")
        try:
            made = made()
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            raise UsageError(f"{text}: calling it failed: {in_words(error)}") from None
    if not isinstance(made, Module):
        raise UsageError(f"{text}: expected it to return a minicnn Module, got {type(made).__name__}")
    return made


def _imported(source: str) -> ModuleType:
    """Import a file, or a module that lies in the current folder or is installed."""
    is_file = source.endswith(".py")
    if is_file and not Path(source).is_file():
        raise UsageError(f"{source}: there is no such file")
    folder = str(Path(source).parent if is_file else Path.cwd())
    sys.path.insert(0, folder)  # scripts that pip installs do not look there
    try:
        if not is_file:
            return importlib.import_module(source)
        spec = importlib.util.spec_from_file_location(Path(source).stem, source)
        assert spec is not None  # a file that ends in .py has both
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        raise UsageError(f"{source or repr(source)}: cannot be imported: {in_words(error)}") from None
    finally:
        sys.path.remove(folder)


def in_words(error: Exception) -> str:
    """Give an exception of the user's code as its type and its words."""
    return f"{type(error).__name__}: {error}"
