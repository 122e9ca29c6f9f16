"""`explore`: a page on which one steps backward through a graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from minicnn.errors import UsageError
from minicnn.study.explorer.describe import Titles, describe
from minicnn.study.explorer.page import page_of
from minicnn.study.explorer.record import Recording, record
from minicnn.tensor import Tensor


def explore(
    loss: Tensor,
    path: str | Path = "explore.html",
    *,
    title: str = "A graph, step by step",
    subtitle: str = "",
    module: str | None = None,
    names: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a page on which one steps backward from a loss, op by op, in the order of the engine.

    It is one HTML file that needs no other and no network; any browser opens it. It shows the graph, what
    every tensor holds, each op's formula with the shapes of this graph, and each gradient as it arrives.
    Where the loss is a sum, as with auxiliary classifiers, it shows what each term contributes to every
    gradient.

    Run the forward pass inside `minicnn.composed()` if it uses layers: then every op of the diagram is a node
    of its own. The graph is kept, so that `loss.backward()` still works, and no `grad` is changed.

    Parameters
    ----------
    loss : Tensor of one element
        What `backward` would be called on.
    path : str or Path, default="explore.html"
        The file to write; one that is there is replaced.
    title, subtitle : str
        What the page calls itself.
    module : str, optional
        An outermost module, such as "inception4a": the page begins where the walk comes to it.
    names : mapping of str to Tensor, optional
        What to call tensors that no op made; left out, what the formula of their first op calls them.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        If there is no graph to walk through, it has more than 1,500 ops, there is no such module in it,
        something in `names` is no tensor that it starts from, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> x = Tensor([[1.0, 2.0]], requires_grad=True)
    >>> w = Tensor([[0.5, -1.0], [1.0, 3.0]], requires_grad=True)
    >>> loss = (x @ w).relu().sum()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = explore(loss, f"{folder}/five-lines.html", names={"x": x, "w": w})
    ...     page.name, page.stat().st_size < 200_000
    ('five-lines.html', True)
    """
    recording = record(loss)
    check_names(recording, names or {})
    if module is not None:
        check_module(recording, module)
    text = page_of(describe(recording, Titles(title, subtitle, module or "", names or {})))
    file = Path(path)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"explore: cannot write {file}: {error.strerror or error}") from None
    return file


def check_module(recording: Recording, module: str) -> None:
    """Raise UsageError unless an outermost module of that name is in the graph."""
    names = dict.fromkeys(
        op.function.module_path.split(".")[0] for op in recording.ops if op.function.module_path
    )
    if not names:
        raise UsageError(f"explore: module: this graph has no modules; got '{module}'")
    if module not in names:
        raise UsageError(f"explore: module: expected one of {', '.join(names)}; got '{module}'")


def check_names(recording: Recording, names: Mapping[str, Tensor]) -> None:
    """Raise UsageError unless `names` maps names to tensors of the graph that no op made."""
    if not isinstance(names, Mapping):
        raise UsageError(
            f"explore: names: expected a mapping of names to tensors, got {type(names).__name__}"
        )
    leaves = {node.tensor for node in recording.tensors if node.creator is None}
    for name, tensor in names.items():
        if not isinstance(tensor, Tensor):
            raise UsageError(f"explore: names: '{name}': expected a Tensor, got {type(tensor).__name__}")
        if tensor not in leaves:
            why = "is not in this graph" if tensor.creator is None else "was made by an op, which names it"
            raise UsageError(f"explore: names: '{name}' {why}")
