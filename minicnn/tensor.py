"""Tensor, Function and the backward walk: automatic differentiation in one file.

A `Tensor` wraps an array. Every operation on tensors is a `Function` object with a hand-written
`forward` and `backward`. Calling `f.apply(x, w)` computes the output and, if any input wants a
gradient, links it to its origin:

    x ──┐
        ├─> Function ──> y          y.creator is the Function, Function.inputs are (x, w)
    w ──┘

These links are the graph. `loss.backward()` visits its functions from last to first, hands each one the
gradient of the loss with respect to its output, gy = dL/dy, and gets back gx = dL/dx for every input:
the chain rule, one op at a time. docs/autograd.md tells the whole story.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from minicnn.backend import Array, array_module, device_of, is_array, to_device, to_numpy
from minicnn.buffers import empty, owns_its_memory
from minicnn.cuda.memory import explained
from minicnn.errors import DeviceError, DTypeError, ShapeError
from minicnn.parallel import on_device_of, pinned_blas

# ---- what differs from thread to thread -------------------------------------------------------------


class Observer:
    """Looks on while a thread runs ops, see `observed_by`; what a subclass leaves out does nothing.

    Ops and modules nest: what begins last ends first. After an error `leave_module` is called, but the
    `after_...` of the op or walk that failed is not.
    """

    def enter_module(self, path: str) -> None:
        """Take note that the module at `path` is called."""

    def leave_module(self, path: str) -> None:
        """Take note that the module at `path` is done, or has failed."""

    def before_forward(self, function: Function, inputs: tuple[Tensor, ...]) -> None:
        """Take note that an op begins."""

    def after_forward(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Take note that an op is done; it is not part of the graph yet."""

    def before_walk(self) -> None:
        """Take note that `Tensor.backward` begins."""

    def after_walk(self) -> None:
        """Take note that `Tensor.backward` is done."""

    def before_backward(self, function: Function, gy: Array) -> None:
        """Take note that the walk enters a function."""

    def after_backward(self, function: Function, gy: Array, gradients: tuple[Array | None, ...]) -> None:
        """Take note of the gradients of a function's inputs; it has not let go of its arrays yet."""


class _ThreadState(threading.local):
    recording = True  # False inside no_grad()
    fusing = True  # False inside composed()
    winograd = True  # False inside no_winograd()

    def __init__(self) -> None:
        self.module_names: list[str] = []  # of the modules being called, outermost first
        self.observers: list[Observer] = []


_state = _ThreadState()


@contextmanager
def _switched(name: str, value: object) -> Iterator[None]:
    before = getattr(_state, name)
    setattr(_state, name, value)
    try:
        yield
    finally:
        setattr(_state, name, before)


def no_grad() -> Any:
    """Record no graph in this thread inside a `with no_grad():` block: for evaluation.

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = (w * w).sum()
    >>> y.requires_grad
    False
    """
    return _switched("recording", False)


def composed() -> Any:
    """Run every op of the network's diagram as a node of its own, in this thread, inside the block.

    Training uses fused ops (a convolution with its ReLU, say) because they are faster. Whoever wants to
    look at the graph, or check each op by itself, wants the single ops.
    """
    return _switched("fusing", False)


def fusion_enabled() -> bool:
    """Tell whether layers may use fused ops in this thread."""
    return _state.fusing


def no_winograd() -> Any:
    """Convolve by im2col only, in this thread, inside a `with no_winograd():` block.

    In float32, 3x3 convolutions are done by Winograd's algorithm where that is faster. Its results differ
    from im2col's by a few millionths of the largest one.
    """
    return _switched("winograd", False)


def winograd_enabled() -> bool:
    """Tell whether convolutions may use Winograd's algorithm in this thread."""
    return _state.winograd


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Let `observer` look on at what this thread runs inside the block."""
    _state.observers.append(observer)
    try:
        yield
    finally:
        _state.observers.remove(observer)


def observed_only_by(observer: Observer) -> Any:
    """Let `observer` look on inside the block, and nobody else: a profile, say, does not see it."""
    return _switched("observers", [observer])


class _AfterForward(Observer):
    def __init__(self, callback: Callable[[Function, tuple[Tensor, ...], Tensor], None]) -> None:
        self.callback = callback

    def after_forward(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.callback(function, inputs, output)


def observe(callback: Callable[[Function, tuple[Tensor, ...], Tensor], None]) -> Any:
    """Call `callback(function, inputs, output)` after each op this thread runs inside a `with` block."""
    return observed_by(_AfterForward(callback))


@contextmanager
def inside_module(name: str) -> Iterator[None]:
    """Note that ops in the block are called by the module `name`, a child of the current one.

    The root module has no name and adds nothing to the path. A ShapeError that passes through is given
    the path of the innermost module.
    """
    names = _state.module_names
    if name:
        names.append(name)
        for observer in _state.observers:
            observer.enter_module(".".join(names))
    try:
        yield
    except ShapeError as error:
        error.module_path = error.module_path or ".".join(names)
        raise
    finally:
        if name:
            path = ".".join(names)
            names.pop()  # first: an observer that runs out of memory must leave no name behind
            for observer in _state.observers:
                observer.leave_module(path)


# ---- Tensor -----------------------------------------------------------------------------------------


class Tensor:
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array, number or nested list
        NumPy and CuPy arrays keep their dtype and are not copied; Python floats and lists of them become
        float32.
    requires_grad : bool, default=False
        Whether `backward` shall compute the gradient with respect to this tensor.

    Attributes
    ----------
    data : array
        The values, a plain NumPy or CuPy array.
    grad : array or None
        Gradient of the same shape and dtype; None before `backward` and after `zero_grad`.
    creator : Function or None
        The op that computed this tensor; None for a leaf.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    # Makes NumPy leave `array + tensor` to the tensor instead of looping over the array's elements.
    __array_ufunc__ = None

    data: Array

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self.data = _as_array(data)
        if requires_grad and self.data.dtype.kind != "f":
            raise DTypeError(f"Tensor: requires_grad needs floating-point data, got dtype {self.data.dtype}")
        self.requires_grad = bool(requires_grad)
        self.grad: Array | None = None
        self.creator: Function | None = None
        self.retains_grad = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes along each axis."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> np.dtype:
        """Data type of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.data.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.data.size)

    @property
    def device(self) -> str:
        """Where the data are: "cpu" or "cuda:<index>"."""
        return device_of(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Give NumPy functions the values; what they return has no history."""
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        text = np.array2string(to_numpy(self.data), prefix="Tensor(", separator=", ", threshold=100)
        origin = f", from {self.creator.name}" if self.creator else ""
        grad = ", requires_grad=True" if self.requires_grad and not self.creator else ""
        return f"Tensor({text}, dtype={self.dtype}{origin}{grad})"

    def numpy(self) -> np.ndarray:
        """Return the values as a NumPy array, without a copy if they are one."""
        return to_numpy(self.data)

    def item(self) -> float:
        """Return the value of a tensor with one element as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item: expected a tensor with one element, got shape {self.shape}")
        return self.data.item()

    def detach(self) -> Tensor:
        """Return a tensor that shares the values and has no history."""
        return Tensor(self.data)

    def to(self, device: str) -> Tensor:
        """Return this tensor on `device`: "cpu", "cuda" or "cuda:<index>"; a leaf of its own if it moved."""
        data = to_device(self.data, device)
        return self if data is self.data else Tensor(data, self.requires_grad)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def retain_grad(self) -> None:
        """Ask `backward` to keep the gradient of this tensor although it is no leaf."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        self.retains_grad = True

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add d(self)/d(leaf), contracted with `gradient`, to the `grad` of every leaf that requires it.

        Parameters
        ----------
        gradient : array, number or Tensor, optional
            Gradient of the loss with respect to this tensor, of its shape (a number fits any shape). May
            be left out if this tensor has one element: then it is 1.
        retain_graph : bool, default=False
            Keep what the ops saved, so that `backward` can be called again.

        Raises
        ------
        ShapeError
            If `gradient` does not have the shape of this tensor, or is left out where it is needed.
        RuntimeError
            If this tensor requires no gradient, or the graph was freed by an earlier call.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward: this tensor does not depend on anything that requires a gradient "
                "(was it computed under no_grad, or from tensors without requires_grad?)"
            )
        with pinned_blas(), on_device_of(self.data):
            for observer in _state.observers:
                observer.before_walk()
            _walk_backward(self, _seed_gradient(self, gradient), retain_graph)
            for observer in _state.observers:
                observer.after_walk()

    if TYPE_CHECKING:  # attached by the table in minicnn/ops/__init__.py

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...
        def exp(self) -> Tensor: ...
        def log(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def relu(self) -> Tensor: ...


@contextmanager
def grads_set_aside(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Inside the block the tensors have no `grad`; afterwards they have their own again.

    Examples
    --------
    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> with grads_set_aside([x]):
    ...     x.sum().backward()
    ...     print(x.grad)
    [1. 1.]
    >>> print(x.grad)
    [6. 8.]
    """
    before = [(tensor, tensor.grad) for tensor in tensors]
    for tensor, _ in before:
        tensor.grad = None
    try:
        yield
    finally:
        for tensor, grad in before:
            tensor.grad = grad


def _as_array(data: Any) -> Array:
    if isinstance(data, Tensor):
        raise TypeError("Tensor: expected an array, a number or a nested list, got a Tensor; use .detach()")
    if isinstance(data, (list, tuple)) and any(isinstance(part, Tensor) for part in data):
        raise TypeError("Tensor: expected numbers in the list, got tensors; use functional.concat")
    try:
        array = data if is_array(data) else np.asarray(data)
    except ValueError:
        raise ShapeError("Tensor: expected nested lists of equal lengths, got ragged ones") from None
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"Tensor: expected numbers, got {type(data).__name__} of dtype {array.dtype}")
    if is_array(data) or isinstance(data, np.generic):
        return array
    contains_arrays = isinstance(data, (list, tuple)) and len(data) > 0 and is_array(data[0])
    return array.astype(np.float32) if array.dtype == np.float64 and not contains_arrays else array


def _seed_gradient(tensor: Tensor, gradient: Any) -> Array:
    xp = array_module(tensor.data)
    if gradient is None:
        if tensor.size != 1:
            raise ShapeError(
                f"backward: gradient: a tensor of shape {tensor.shape} needs one of its shape; "
                "it may only be left out for a tensor with one element"
            )
        gradient = 1.0
    if isinstance(gradient, Tensor):
        gradient = gradient.data
    if isinstance(gradient, (int, float, np.number)):
        return xp.full(tensor.shape, gradient, tensor.dtype)
    if is_array(gradient) and device_of(gradient) != tensor.device:
        raise DeviceError(
            f"backward: gradient: expected it on {tensor.device}, got {device_of(gradient)}; use .to(device)"
        )
    array = xp.asarray(gradient)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"backward: gradient: expected real numbers, got dtype {array.dtype}")
    array = array.astype(tensor.dtype, copy=False)
    if array.shape != tensor.shape:
        raise ShapeError(f"backward: gradient: expected shape {tensor.shape}, got {tuple(array.shape)}")
    return array


# ---- Function ---------------------------------------------------------------------------------------

_creation_counter = itertools.count()


class Function:
    """One application of an op: what computes the output, and later the gradients of the inputs.

    A subclass takes its settings (stride, axis, ...) in `__init__`, and implements

    - `forward(*arrays)`, which returns the output array and saves with `self.save(...)` what the backward
      pass needs;
    - `backward(gy)`, which returns the gradient for each input, in order: an array of the input's shape
      and dtype, or None where `self.needs_gradient` says that nobody wants it. It must not write to `gy`
      or to a saved array, and must not return a saved array: somebody else may hold them. It may return
      `gy` itself or a view of it.

    Attributes
    ----------
    name : str
        Name of the op, as in `minicnn.functional`.
    takes_integers : bool
        Whether the op makes sense for whole numbers too; most work on floating-point numbers only.
    module_path : str
        Path of the module that called the op, e.g. "inception3a.conv1x1"; empty outside of modules.
    inputs : tuple of Tensor
        What `apply` was called with, if the op is recorded in the graph.
    needs_gradient : tuple of bool
        For each input, whether its gradient is wanted. All False where no graph is recorded.
    """

    name: ClassVar[str]
    takes_integers: ClassVar[bool] = False

    module_path: str = ""
    inputs: tuple[Tensor, ...] = ()
    needs_gradient: tuple[bool, ...] = ()
    saved: tuple[Any, ...] = ()
    freed = False

    _creation: int
    _output: weakref.ref[Tensor]

    def forward(self, *arrays: Array) -> Array:
        """Compute the output array from the input arrays."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, gy: Array) -> tuple[Array | None, ...]:
        """Compute the gradient for each input from the gradient of the output."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def branches(self) -> Array | None:
        """Return which way each element went in an op with kinks (ReLU, max), else None.

        Where two inputs give different branches, a difference quotient across them says nothing about
        the gradient; the gradient checker compares them. Valid while the saved arrays are.
        """
        return None

    def save(self, *arrays: Any) -> None:
        """Keep arrays for the backward pass. They are dropped if no graph is recorded."""
        self.saved = arrays

    @property
    def is_recorded(self) -> bool:
        """Whether a backward pass may come, so that forward has to remember what it needs."""
        return any(self.needs_gradient)

    def apply(self, *inputs: Tensor) -> Tensor:
        """Run the op on `inputs` and record it if any of them requires a gradient.

        A Function is one application: to apply the op again, make another one.
        """
        if not isinstance(self, Function):  # the first input has come in the place of self
            raise TypeError("apply: expected an object of the op's class, got the class: MyOp().apply(x)")
        if not hasattr(self, "name"):
            raise TypeError(f'{type(self).__name__}: an op needs a name; in its class: name = "my_op"')
        if self.inputs or self.freed:
            raise RuntimeError(f"{self!r} is applied a second time; make a new Function for each application")
        _check_inputs(self, inputs)
        self.module_path = ".".join(_state.module_names)
        if _state.recording:
            self.needs_gradient = tuple(t.requires_grad for t in inputs)
        else:
            self.needs_gradient = (False,) * len(inputs)

        for observer in _state.observers:
            observer.before_forward(self, inputs)
        try:
            with on_device_of(inputs[0].data):
                y = self.forward(*[t.data for t in inputs])
        except MemoryError as error:
            raise explained(error, self.title) from None
        output = Tensor(y)
        for observer in _state.observers:
            observer.after_forward(self, inputs, output)

        if self.is_recorded:
            output.requires_grad = True
            output.creator = self
            self.inputs = inputs
            self._output = weakref.ref(output)  # weak: the output already refers to its creator
            self._creation = next(_creation_counter)
        else:
            self.saved = ()
        return output

    def __call__(self, *inputs: object) -> NoReturn:
        """Refuse: an op is applied by `apply`."""
        op = type(self).__name__
        raise TypeError(f"{op}: an op is applied, not called: {op}().apply(x)")

    def free(self) -> None:
        """Let go of inputs and saved arrays; the walk has passed."""
        self.saved = ()
        self.inputs = ()
        self.freed = True

    @property
    def title(self) -> str:
        """The name, and which module called the op: "conv2d in inception3a.conv1x1"."""
        return f"{self.name} in {self.module_path}" if self.module_path else self.name

    def __repr__(self) -> str:
        return f"<{self.title}>"


def _check_inputs(function: Function, inputs: tuple[Any, ...]) -> None:
    op, first = function.name, inputs[0]
    for t in inputs:
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: expected tensors, got {type(t).__name__}; wrap it: Tensor(...)")
    for t in inputs[1:]:
        if t.data.dtype != first.data.dtype:
            raise DTypeError(
                f"{op}: expected tensors of one dtype, got {_distinct(i.dtype for i in inputs)}; "
                "nothing is converted silently: use Tensor(x.data.astype(...)) or module.astype(...)"
            )
        if t.device != first.device:
            raise DeviceError(
                f"{op}: expected tensors on one device, got {_distinct(i.device for i in inputs)}; "
                "use .to(device)"
            )
    if not function.takes_integers:
        check_floating(op, first)


def check_tensor(op: str, argument: str, value: object) -> None:
    """Raise DTypeError unless `value` is a Tensor: the first thing a public function looks at."""
    if not isinstance(value, Tensor):
        raise DTypeError(
            f"{op}: {argument}: expected a Tensor, got {type(value).__name__}; wrap an array: Tensor(...)"
        )


def check_floating(op: str, x: Tensor) -> None:
    """Raise DTypeError unless x holds floating-point numbers."""
    check_tensor(op, "x", x)
    if x.dtype.kind != "f":
        raise DTypeError(
            f"{op}: expected floating-point numbers, got {x.dtype}; use Tensor(x.data.astype(np.float32))"
        )


def _distinct(values: Iterator[Any]) -> str:
    return " and ".join(dict.fromkeys(map(str, values)))


# ---- the backward walk ------------------------------------------------------------------------------


def _walk_backward(root: Tensor, seed: Array, retain_graph: bool) -> None:
    """Run the functions that lead to `root` backwards and add up the gradients of the leaves.

    `in_flight` holds dL/dt for every tensor t that the walk has reached but not passed. `ours` tells
    which of those arrays nobody else can hold, so that a further contribution may be added in place.
    """
    in_flight: dict[Tensor, Array] = {root: seed}
    ours: set[Tensor] = set()

    functions = _functions_leading_to(root)
    while functions:
        function = functions.pop()
        output = function._output()
        assert output is not None  # what consumed it has put it into in_flight
        gy = in_flight.pop(output)
        ours.discard(output)
        if output.retains_grad:
            _accumulate(output, gy, owned=False)
        for observer in _state.observers:
            observer.before_backward(function, gy)
        try:
            gradients = function.backward(gy)
        except MemoryError as error:
            raise explained(error, f"the gradient of {function.title}") from None
        for observer in _state.observers:
            observer.after_backward(function, gy, gradients)
        for i, (tensor, gx) in enumerate(zip(function.inputs, gradients, strict=True)):
            if not function.needs_gradient[i]:
                continue
            gx = _checked_gradient(function, i, tensor, gx)
            fresh = _is_fresh(gx, gy, gradients)
            _add_contribution(in_flight, ours, tensor, gx, fresh)
        if not retain_graph:
            function.free()

    for leaf, gradient in in_flight.items():
        _accumulate(leaf, gradient, owned=leaf in ours)


def _is_fresh(gradient: Array, gy: Array, gradients: tuple[Array | None, ...]) -> bool:
    """Tell whether nobody but the walk holds the memory of a gradient that a backward has just returned."""

    def memory(array: Array | None) -> Array | None:
        return array if array is None or array.base is None else array.base

    held = memory(gradient)
    return (
        owns_its_memory(gradient)
        and held is not memory(gy)
        and sum(held is memory(other) for other in gradients) == 1
    )


def _functions_leading_to(root: Tensor) -> list[Function]:
    """All functions that `root` depends on, in the order in which they were applied.

    That order is a topological one: an op can only be applied to tensors that exist already. The search
    keeps a list of its own instead of calling itself, so a graph may be deeper than the recursion limit.
    """
    found: set[Function] = set()
    pending = [root.creator] if root.creator else []
    while pending:
        function = pending.pop()
        if function in found:
            continue
        if function.freed:
            raise RuntimeError(
                f"backward: a second time through {function!r}, whose saved arrays were freed by the first; "
                "call the first backward with retain_graph=True, or run the forward pass again"
            )
        found.add(function)
        for t, needed in zip(function.inputs, function.needs_gradient, strict=True):
            if needed and t.creator is not None:
                pending.append(t.creator)
    return sorted(found, key=lambda function: function._creation)


def _checked_gradient(function: Function, index: int, tensor: Tensor, gradient: Array | None) -> Array:
    if isinstance(gradient, np.generic):  # NumPy turns results of shape () into scalars
        gradient = np.asarray(gradient)
    if gradient is None or gradient.shape != tensor.shape or gradient.dtype != tensor.dtype:
        got = "None" if gradient is None else f"{tuple(gradient.shape)} {gradient.dtype}"
        raise RuntimeError(
            f"backward of {function!r}: the gradient of input {index} must be "
            f"{tensor.shape} {tensor.dtype}, it is {got}"
        )
    return gradient


def _add_contribution(
    in_flight: dict[Tensor, Array], ours: set[Tensor], tensor: Tensor, gradient: Array, fresh: bool
) -> None:
    """Add one consumer's share to the gradient of `tensor` (a fan-out has several consumers)."""
    if tensor not in in_flight:
        in_flight[tensor] = gradient
        if fresh:
            ours.add(tensor)
    elif tensor in ours:
        in_flight[tensor] += gradient
    else:
        in_flight[tensor] = _sum(in_flight[tensor], gradient)
        ours.add(tensor)


def _accumulate(tensor: Tensor, gradient: Array, owned: bool) -> None:
    """Add `gradient` to `tensor.grad`, never in place: whoever took `tensor.grad` keeps what they took."""
    if tensor.grad is not None:
        tensor.grad = _sum(tensor.grad, gradient)
    else:
        tensor.grad = gradient if owned else gradient.copy()


def _sum(a: Array, b: Array) -> Array:
    total = empty(a.shape, a)
    return array_module(a).add(a, b, out=total)
