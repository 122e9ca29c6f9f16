"""Elementwise arithmetic with broadcasting.

    y = a + b       ga = gy                         gb = gy
    y = a - b       ga = gy                         gb = -gy
    y = a * b       ga = gy * b                     gb = gy * a
    y = a / b       ga = gy / b                     gb = -gy * y / b
    y = a ** b      ga = gy * b * a**(b-1)          gb = gy * y * log(a)
    y = -a          ga = -gy

    a, b   any shapes that broadcast to one; y has that shape

Where an operand was broadcast, one of its elements met several of the other's: it receives the sum over
all of them. Broadcasting copies, and the transpose of copying is adding.

Derivation: docs/ops/arithmetic.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backend import Array, array_module, is_array
from minicnn.errors import DTypeError, ShapeError
from minicnn.parallel import on_device_of
from minicnn.tensor import Function, Tensor


class Add(Function):
    """Sum of two tensors."""

    name = "add"
    takes_integers = True

    def forward(self, a: Array, b: Array) -> Array:
        """Return a + b; remembers the shapes."""
        self.shapes = a.shape, b.shape
        return a + b

    def backward(self, gy: Array) -> tuple[Array, Array]:
        """Return ga and gb."""
        return sum_to_shape(gy, self.shapes[0]), sum_to_shape(gy, self.shapes[1])


class Subtract(Function):
    """Difference of two tensors."""

    name = "subtract"
    takes_integers = True

    def forward(self, a: Array, b: Array) -> Array:
        """Return a - b; remembers the shapes."""
        self.shapes = a.shape, b.shape
        return a - b

    def backward(self, gy: Array) -> tuple[Array, Array]:
        """Return ga and gb."""
        return sum_to_shape(gy, self.shapes[0]), sum_to_shape(-gy, self.shapes[1])


class Multiply(Function):
    """Product of two tensors, element by element."""

    name = "multiply"
    takes_integers = True

    def forward(self, a: Array, b: Array) -> Array:
        """Return a * b; saves both."""
        self.save(a, b)
        return a * b

    def backward(self, gy: Array) -> tuple[Array | None, Array | None]:
        """Return ga and gb."""
        a, b = self.saved
        ga = sum_to_shape(gy * b, a.shape) if self.needs_gradient[0] else None
        gb = sum_to_shape(gy * a, b.shape) if self.needs_gradient[1] else None
        return ga, gb


class Divide(Function):
    """Quotient of two tensors, element by element."""

    name = "divide"

    def forward(self, a: Array, b: Array) -> Array:
        """Return y = a / b; saves b, y and the shape of a."""
        y = a / b
        self.save(b, y, a.shape)
        return y

    def backward(self, gy: Array) -> tuple[Array, Array | None]:
        """Return ga and gb."""
        b, y, a_shape = self.saved
        ga = gy / b
        gb = sum_to_shape(-ga * y, b.shape) if self.needs_gradient[1] else None
        return sum_to_shape(ga, a_shape), gb


class Power(Function):
    """Power of two tensors, element by element."""

    name = "power"
    takes_integers = True

    def forward(self, a: Array, b: Array) -> Array:
        """Return y = a ** b; saves all three."""
        y = a**b
        self.save(a, b, y)
        return y

    def backward(self, gy: Array) -> tuple[Array | None, Array | None]:
        """Return ga and gb."""
        a, b, y = self.saved
        xp = array_module(y)
        ga = gb = None
        if self.needs_gradient[0]:
            # a**0 is constant, also at a = 0, where a**(b-1) would be infinite.
            slope = xp.where(b == 0, 0, b * xp.where(b == 0, 1, a) ** (b - 1))
            ga = sum_to_shape(gy * slope, a.shape)
        if self.needs_gradient[1]:
            # 0**b is constant for b > 0, while log(0) is infinite.
            slope = xp.where(a == 0, 0, y * xp.log(xp.where(a == 0, 1, a)))
            gb = sum_to_shape(gy * slope, b.shape)
        return ga, gb


class Negate(Function):
    """Change of sign."""

    name = "negate"
    takes_integers = True

    def forward(self, a: Array) -> Array:
        """Return -a."""
        return -a

    def backward(self, gy: Array) -> tuple[Array]:
        """Return ga."""
        return (-gy,)


def sum_to_shape(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum g over the axes along which an operand of `shape` was broadcast to the shape of g."""
    if g.shape == shape:
        return g
    added = g.ndim - len(shape)  # broadcasting puts new axes in front
    stretched = tuple(i + added for i, size in enumerate(shape) if size == 1 and g.shape[i + added] != 1)
    return g.sum(axis=(*range(added), *stretched), keepdims=True).reshape(shape)


def operands(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Make tensors of both operands, of which one is a tensor already, the other perhaps a number or array.

    Numbers and integer arrays take the dtype of the tensor; floating-point arrays keep theirs.
    """
    if isinstance(a, Tensor):
        return a, _operand(op, b, a)
    if isinstance(b, Tensor):
        return _operand(op, a, b), b
    raise DTypeError(f"{op}: expected at least one Tensor, got {type(a).__name__} and {type(b).__name__}")


def _operand(op: str, value: Any, other: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value
    array = value if is_array(value) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise DTypeError(
            f"{op}: expected a tensor, a number or an array of numbers, got {type(value).__name__}"
        )
    if is_array(value) and array.dtype.kind == "f":
        return Tensor(array)
    if array.dtype.kind == "f" and other.dtype.kind != "f":  # asarray would cut off the fraction
        raise DTypeError(
            f"{op}: expected whole numbers for a tensor of dtype {other.dtype}, got {type(value).__name__}"
        )
    xp = array_module(other.data)
    with on_device_of(other.data):
        if array.ndim == 0:  # a number goes to a GPU with the call that writes it
            return Tensor(xp.full((), array.item(), other.dtype))
        return Tensor(xp.asarray(array, dtype=other.dtype))


def _binary(function: Function, a: Any, b: Any) -> Tensor:
    a, b = operands(function.name, a, b)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(
            f"{function.name}: expected shapes that broadcast to one, got {a.shape} and {b.shape}"
        ) from None
    return function.apply(a, b)


def add(a: Any, b: Any) -> Tensor:
    """Add two tensors, or a tensor and a number or array, with broadcasting.

    Examples
    --------
    >>> add(Tensor([1.0, 2.0]), 1).data
    array([2., 3.], dtype=float32)
    """
    return _binary(Add(), a, b)


def subtract(a: Any, b: Any) -> Tensor:
    """Subtract b from a, with broadcasting.

    Examples
    --------
    >>> subtract(1, Tensor([1.0, 2.0])).data
    array([ 0., -1.], dtype=float32)
    """
    return _binary(Subtract(), a, b)


def multiply(a: Any, b: Any) -> Tensor:
    """Multiply two tensors element by element, with broadcasting.

    Examples
    --------
    >>> multiply(Tensor([1.0, 2.0]), Tensor([[1.0], [10.0]])).data
    array([[ 1.,  2.],
           [10., 20.]], dtype=float32)
    """
    return _binary(Multiply(), a, b)


def divide(a: Any, b: Any) -> Tensor:
    """Divide a by b element by element, with broadcasting.

    Examples
    --------
    >>> divide(1, Tensor([1.0, 2.0])).data
    array([1. , 0.5], dtype=float32)
    """
    return _binary(Divide(), a, b)


def power(a: Any, b: Any) -> Tensor:
    """Raise a to the power b element by element, with broadcasting.

    The gradient with respect to b needs a logarithm of a, so a must not be negative there.

    Examples
    --------
    >>> power(Tensor([1.0, 2.0, 3.0]), 2).data
    array([1., 4., 9.], dtype=float32)
    """
    return _binary(Power(), a, b)


def negate(a: Tensor) -> Tensor:
    """Change the sign.

    Examples
    --------
    >>> negate(Tensor([1.0, -2.0])).data
    array([-1.,  2.], dtype=float32)
    """
    return Negate().apply(a)
