"""What each module of a network returns while the network runs."""

from __future__ import annotations

from minicnn.nn import Module
from minicnn.tensor import Function, Observer, Tensor


class ModuleOutputs(Observer):
    """Notes what each module returns, and the leaves of the graph.

    Parameters
    ----------
    model : Module
        Paths begin below it.

    Attributes
    ----------
    outputs : dict of str to Tensor
        By path, in the order in which the modules finish; that of a second call ends in ":2".
    leaves : dict with the tensors as keys
        What requires a gradient and was not computed.
    """

    def __init__(self, model: Module) -> None:
        self.root = model._name  # its name as a part of another module is no part of the paths
        self.outputs: dict[str, Tensor] = {}
        self.leaves: dict[Tensor, None] = {}
        self._last: list[Tensor | None] = []  # for each open module, the output of the last op in it

    def enter_module(self, path: str) -> None:
        self._last.append(None)

    def leave_module(self, path: str) -> None:
        output = self._last.pop()
        if output is None:
            return
        if self._last:
            self._last[-1] = output
        name = path.removeprefix(self.root).removeprefix(".") if self.root else path
        if name:
            self.outputs[self._unused(name)] = output

    def after_forward(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._last:
            self._last[-1] = output
        self.leaves.update((t, None) for t in inputs if t.creator is None and t.requires_grad)

    def _unused(self, name: str) -> str:
        calls = 1
        while (numbered := name if calls == 1 else f"{name}:{calls}") in self.outputs:
            calls += 1
        return numbered
