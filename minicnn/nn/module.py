"""Module and Parameter: networks as trees of named fields.

A module holds parameters and further modules as ordinary attributes, and says in `forward` what it does
with them. Everything else (listing parameters, saving, switching to evaluation) walks over those
attributes, in the order in which they were defined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minicnn.backend import Array, is_array, to_device, to_numpy
from minicnn.errors import CheckpointError, DTypeError, ShapeError, UsageError
from minicnn.parallel import on_device_of, pinned_blas
from minicnn.tensor import Tensor, inside_module

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A tensor that training changes. Its data may be replaced by any floating-point array of its shape.

    Examples
    --------
    >>> import numpy as np
    >>> p = Parameter(np.zeros(2, np.float32))
    >>> p.data = np.ones(2, np.float32)
    >>> p.requires_grad
    True
    """

    _data: Array = None

    def __init__(self, data: Any) -> None:
        super().__init__(data, requires_grad=True)

    @property
    def data(self) -> Array:
        """The values."""
        return self._data

    @data.setter
    def data(self, value: Array) -> None:
        if not is_array(value) or value.dtype.kind != "f":
            what = f"dtype {value.dtype}" if is_array(value) else type(value).__name__
            raise DTypeError(f"Parameter: data: expected an array of floating-point numbers, got {what}")
        if self._data is not None and value.shape != self._data.shape:
            raise ShapeError(f"Parameter: data: expected shape {self._data.shape}, got {tuple(value.shape)}")
        if self._data is not None and value.dtype != self._data.dtype:
            self.grad = None  # a gradient has the dtype of its tensor
        self._data = value


class LoadReport(NamedTuple):
    """What `load_state_dict(..., strict=False)` could not match.

    Attributes
    ----------
    missing : tuple of str
        Parameters of the module that the state does not have; they keep their values.
    left_over : tuple of str
        Arrays of the state that the module has no place for.
    """

    missing: tuple[str, ...]
    left_over: tuple[str, ...]

    def __str__(self) -> str:
        if not self.missing and not self.left_over:
            return "everything was loaded"
        lines = []
        if self.missing:
            lines.append(f"not in the state, left as they were: {', '.join(self.missing)}")
        if self.left_over:
            lines.append(f"in the state, but not in the module: {', '.join(self.left_over)}")
        return "\n".join(lines)


class Module:
    """Base of layers and networks.

    A subclass calls `super().__init__()`, assigns its parameters and modules to attributes, and
    implements `forward`.

    Attributes
    ----------
    training : bool
        True in training mode (the start), False in evaluation mode.

    Examples
    --------
    >>> import numpy as np
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = Parameter(np.ones(1, np.float32))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> [name for name, _ in Scale().named_parameters()]
    ['factor']
    """

    def __init__(self) -> None:
        self.training = True
        self._name = ""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module):
            value._name = name
        if isinstance(value, (list, tuple, dict)):
            parts = value.values() if isinstance(value, dict) else value
            if any(isinstance(part, (Module, Parameter)) for part in parts):
                raise UsageError(
                    f"{type(self).__name__}.{name}: modules and parameters in a {type(value).__name__} would "
                    "not be found; make them attributes of their own, or use nn.Sequential"
                )
        super().__setattr__(name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output from the input. Called through the module itself: `module(x)`."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`; ops called inside know that they were called by this module."""
        with pinned_blas(), inside_module(self._name):
            return self.forward(*args, **kwargs)

    # ---- the tree ----

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield (attribute name, module) for each direct child, in order of definition."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield (path, module) for this module (whose path is "") and all below it, parents first."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter) for all parameters, each once, in order of definition."""
        seen: set[Parameter] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and value not in seen:
                    seen.add(value)
                    yield f"{path}.{name}" if path else name, value

    def parameters(self) -> list[Parameter]:
        """Return all parameters, in order of definition."""
        return [parameter for _, parameter in self.named_parameters()]

    def num_parameters(self) -> int:
        """Return the number of weights and biases."""
        return sum(parameter.size for parameter in self.parameters())

    # ---- modes, dtype, device ----

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and all below it to training mode; return the module."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switch this module and all below it to evaluation mode; return the module."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def to(self: M, device: str) -> M:
        """Move parameters and gradients to `device` ("cpu", "cuda" or "cuda:<index>"); return the module."""
        for parameter in self.parameters():
            parameter.data = to_device(parameter.data, device)
            if parameter.grad is not None:
                parameter.grad = to_device(parameter.grad, device)
        return self

    def astype(self: M, dtype: Any) -> M:
        """Convert all parameters to a floating-point dtype and forget gradients; return the module."""
        for parameter in self.parameters():
            with on_device_of(parameter.data):
                parameter.data = parameter.data.astype(dtype)
            parameter.grad = None
        return self

    # ---- saving and loading ----

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return all parameters as NumPy arrays by path: copies, later training does not change them."""
        return {name: np.array(to_numpy(p.data)) for name, p in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Array], strict: bool = True) -> LoadReport:
        """Copy arrays into the parameters of the same path, cast to their dtype.

        Parameters
        ----------
        state : mapping of str to array
            As `state_dict` returns it.
        strict : bool, default=True
            Whether every parameter and every array must have its counterpart.

        Returns
        -------
        LoadReport
            What was missing and what was left over (with strict=True, nothing).

        Raises
        ------
        CheckpointError
            If shapes differ, or with strict=True names do; nothing has been loaded then.
        """
        own = dict(self.named_parameters())
        report = LoadReport(
            missing=tuple(name for name in own if name not in state),
            left_over=tuple(name for name in state if name not in own),
        )
        if strict and (report.missing or report.left_over):
            raise CheckpointError(
                f"load_state_dict: the names do not match ({'; '.join(str(report).splitlines())}); "
                "strict=False loads what fits"
            )
        for name in own:
            value: Any = state.get(name)
            if name in state and not (is_array(value) and value.dtype.kind in "fiu"):
                what = f"dtype {value.dtype}" if is_array(value) else type(value).__name__
                raise CheckpointError(f"load_state_dict: {name}: expected an array of numbers, got {what}")
        for name, parameter in own.items():
            if name in state and tuple(state[name].shape) != parameter.shape:
                raise CheckpointError(
                    f"load_state_dict: {name}: expected shape {parameter.shape}, "
                    f"got {tuple(state[name].shape)}"
                )
        for name, parameter in own.items():
            if name in state:
                values = np.array(to_numpy(state[name]), dtype=parameter.dtype)
                parameter.data = to_device(values, parameter.device)
        return report

    def __repr__(self) -> str:
        children = [f"  {name}: {child!r}".replace("\n", "\n  ") for name, child in self.children()]
        own = f"{type(self).__name__}({self.describe()})"
        return "\n".join([own, *children])

    def describe(self) -> str:
        """Return the settings of this module in words, for `repr`."""
        return ""


@contextmanager
def in_mode(model: Module, training: bool) -> Iterator[None]:
    """Inside the block, `model` and all below it are in one mode; afterwards each has its own again.

    Examples
    --------
    >>> from minicnn import nn
    >>> model = nn.Sequential(nn.Dropout(0.5).eval(), nn.ReLU())
    >>> with nn.in_mode(model, training=True):
    ...     print([module.training for _, module in model.named_modules()])
    [True, True, True]
    >>> [module.training for _, module in model.named_modules()]
    [True, False, True]
    """
    before = [(module, module.training) for _, module in model.named_modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, own in before:
            module.training = own


class Sequential(Module):
    """Modules one after the other; they are named "0", "1", ... in order.

    Examples
    --------
    >>> from minicnn import nn
    >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).num_parameters()
    58
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        for index, module in enumerate(modules):
            if not isinstance(module, Module):
                raise UsageError(f"Sequential: expected modules, got {type(module).__name__} at {index}")
            setattr(self, str(index), module)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the modules in order."""
        for _, module in self.children():
            x = module(x)
        return x
