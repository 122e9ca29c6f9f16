"""A network of the user's own: "file.py:factory" or "package.module:factory".

Whatever goes wrong in the user's code becomes one line that names it, without a traceback.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from minicnn.errors import MinicnnError, UsageError
from minicnn.nn import Conv2d, GoogLeNetOutput, Linear, Module, in_mode
from minicnn.nn.googlenet_output import as_output, described
from minicnn.study.attribution import HEADS
from minicnn.tensor import Tensor

SMALL_SIZE = 32  # of the embedded images
DEFAULT_CHANNELS = 3


def is_users_network(text: str) -> bool:
    """Tell whether a text names a network of the user's, and neither one of ours nor a file.

    Raises
    ------
    UsageError
        If it names a Python file alone.
    """
    if text.endswith((".py", ".py:")):
        file = text.removesuffix(":")
        raise UsageError(f"{text}: expected the name of what makes the network, too: {file}:NAME")
    return ":" in text and text.rpartition(":")[2].isidentifier() and not Path(text).exists()


@contextmanager
def users_code(doing: str) -> Iterator[None]:
    """Turn an error that the user's code raises, or its end of the program, into one line.

    `doing` is what was tried, and with what: "net.py:make: calling it".
    """
    try:
        yield
    except MemoryError:
        raise
    except MinicnnError as error:
        raise UsageError(f"{doing} failed: {error}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
        raise UsageError(f"{doing} failed: {_in_words(error)}") from None


def _in_words(error: BaseException) -> str:
    """Give an exception of the user's code as its type and its words."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - finding the words is the user's code, too
        return type(error).__name__


def make_users_network(text: str) -> Module:
    """Import the user's code, and call what makes the network."""
    source, _, name = text.rpartition(":")
    module = _imported(source)
    if not hasattr(module, name):
        raise UsageError(f"{source}: there is no {name or 'name after the colon'} in it")
    made = getattr(module, name)
    if not isinstance(made, Module):
        if not callable(made):
            raise UsageError(f"{text}: expected a Module or what makes one, got {type(made).__name__}")
        with users_code(f"{text}: calling it"):
            made = made()
    if not isinstance(made, Module):
        raise UsageError(f"{text}: expected it to return a minicnn Module, got {type(made).__name__}")
    return made


def _imported(source: str) -> ModuleType:
    """Import a file, or a module that lies in the current folder or is installed."""
    is_file = source.endswith(".py")
    if is_file and not Path(source).is_file():
        raise UsageError(f"{source}: there is no such file")
    # For good: a factory, or a forward pass, may import what lies beside it.
    sys.path.insert(0, str(Path(source).absolute().parent if is_file else Path.cwd()))
    with users_code(f"{source or repr(source)}: importing it"):
        if not is_file:
            return importlib.import_module(source)
        # Not by the name of the file, which may be that of a module of Python's.
        spec = importlib.util.spec_from_file_location(f"users_{Path(source).stem}", source)
        assert spec is not None  # a file that ends in .py has both
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look for it
        spec.loader.exec_module(module)
        return module


def default_input(network: Module, size: int | None, otherwise: int = 224) -> tuple[int, ...]:
    """Return the shape of one input: the network's own, or what its first layer takes.

    Parameters
    ----------
    network : Module
        One with an attribute `input_size`, (H, W, C), says itself what it takes.
    size : int or None
        Height and width, if the user has given them.
    otherwise : int, default=224
        Height and width if nobody says.
    """
    with users_code(f"{type(network).__name__}: looking up its input_size"):
        own = getattr(network, "input_size", (otherwise, otherwise, None))
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
    shape = (size or H, size or W, C or DEFAULT_CHANNELS)
    if not all(type(number) is int and number > 0 for number in shape):
        raise UsageError(f"{type(network).__name__}.input_size: expected whole numbers, got {own!r}")
    return shape


def make_image_network(text: str) -> tuple[Module, int]:
    """Make a network of the user's that takes square colour images; return it with their height."""
    network = make_users_network(text)
    shape = default_input(network, None, SMALL_SIZE)
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] != DEFAULT_CHANNELS:
        raise UsageError(
            f"{text}: expected a network for square images of {DEFAULT_CHANNELS} colours, got one for "
            f"{'x'.join(map(str, shape))}"
        )
    return network, shape[0]


def run_users_network(text: str, network: Module, x: Tensor, classes: int | None = None) -> GoogLeNetOutput:
    """Run a network of the user's in training mode; logits alone are those of a main head without others.

    Raises
    ------
    UsageError
        If it fails or returns something else, or a head has not as many `classes` as the others.
    """
    with users_code(f"{text}: running it"), in_mode(network, training=True):
        returned = network(x)
    out = as_output(returned)
    if out is None:
        raise UsageError(
            f"{text}: expected it to return logits (N, classes) or a GoogLeNetOutput, "
            f"got {described(returned)}"
        )
    expected = classes or out.logits.shape[1]
    for head, logits in zip(HEADS, out, strict=True):
        if logits is not None and logits.shape[1] != expected:
            raise UsageError(
                f"{text}: expected {expected} classes of each of its heads, got {logits.shape[1]} of {head}"
            )
    return out
