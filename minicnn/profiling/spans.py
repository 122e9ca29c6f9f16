"""What a profile consists of: stretches of time with a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minicnn.cost import Shape

Phase = Literal["module", "forward", "walk", "backward"]


@dataclass(frozen=True, slots=True)
class Span:
    """A module's call, an op's forward or backward pass, or a backward walk. Times are in nanoseconds.

    Attributes
    ----------
    phase : str
        "module", "forward", "walk" (the whole of `Tensor.backward`) or "backward" (one op in it).
    name : str
        Name of the op, or path of the module.
    start, end : int
    own : int
        Its duration without that of the spans inside it.
    layer : str
        Path of the module that called the op; empty outside of modules.
    inputs : tuple of tuple of int
        Shapes of the op's inputs.
    output : tuple of int
        Shape of its output.
    dtype : str
    flops : int
        Floating-point operations of the op's products; 0 for ops without.
    kept_bytes : int
        Bytes of arrays the forward pass made that are kept for the backward pass.
    """

    phase: Phase
    name: str
    start: int
    end: int
    own: int
    layer: str = ""
    inputs: tuple[Shape, ...] = ()
    output: Shape = ()
    dtype: str = ""
    flops: int = 0
    kept_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TileSpan:
    """One tile of an op, on the thread that worked on it. Times are in nanoseconds."""

    thread: int
    name: str
    index: int
    start: int
    end: int
