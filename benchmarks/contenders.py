"""Who is compared: the frameworks, each as it is installed or tuned, and where to find it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv" / "peers"

# Every freed block stays with the process, and no block is mapped by the system on its own: without this,
# glibc gives large arrays back when they are freed, and the next one has to be mapped page by page again.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


@dataclass(frozen=True)
class Contender:
    """A framework with the settings it runs under.

    Attributes
    ----------
    name, title : str
        For `--against`, and in the tables.
    framework : str
        Module of benchmarks.frameworks that builds the network.
    options : mapping
        Keyword arguments for that module's `prepare`.
    environment : mapping of str to str
        Variables that its process starts with.
    lrn : bool
        Whether its network has local response normalisation.
    one_thread : bool
        Whether it runs on one thread whatever `--threads` says.
    every : int
        It takes part in every this-manieth round: slow ones would take all the time.
    """

    name: str
    title: str
    framework: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    lrn: bool = True
    one_thread: bool = False
    every: int = 1


MINICNN = Contender("minicnn", "minicnn", "minicnn")

# What a network without LRN has to agree with.
MINICNN_WITHOUT_LRN = Contender(
    "minicnn-without-lrn", "minicnn, without LRN", "minicnn", {"lrn": False}, lrn=False
)

OTHERS = (
    Contender("minicnn-1", "minicnn, one thread", "minicnn", one_thread=True),
    Contender("torch", "PyTorch, channels-last", "torch", {"channels_last": True}),
    Contender("torch-nchw", "PyTorch, NCHW", "torch", {"channels_last": False}),
    Contender(
        "torch-tuned", "PyTorch, tuned", "torch", {"channels_last": True, "tuned": True}, KEEP_MEMORY
    ),
    Contender("tensorflow", "TensorFlow, graph mode", "tensorflow"),
    Contender("dezero", "DeZero, without LRN", "dezero", lrn=False, every=3),
)  # fmt: skip

DISTRIBUTIONS = {
    "minicnn": ("minicnn",),
    "torch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "dezero": ("dezero",),
}
HOW_TO_INSTALL = {
    "minicnn": "make .venv/installed",
    "torch": "make .venv/installed-parity",
    "tensorflow": "make .venv/peers/tensorflow/installed",
    "dezero": "make .venv/peers/dezero/installed",
}


def python_of(framework: str) -> str:
    """Return the Python that runs a framework: that of its own environment if there is one, else this one."""
    own = PEERS / framework / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def installed_version(framework: str) -> str | None:
    """Return the version of a framework; None if it is not installed."""
    names = DISTRIBUTIONS[framework]
    program = (
        "from importlib.metadata import distributions as all\n"
        f"print(*[d.version for d in all() if d.metadata['Name'].replace('_', '-') in {names}][:1])"
    )
    answer = subprocess.run([python_of(framework), "-c", program], capture_output=True, text=True, check=True)
    return answer.stdout.strip() or None


def choose(names: list[str] | None) -> tuple[list[Contender], list[str]]:
    """Choose whom to compare minicnn with.

    Parameters
    ----------
    names : list of str, or None
        Those that `--against` named; None means all that are installed.

    Returns
    -------
    (list of Contender, list of str)
        In the order of the tables, minicnn left out; and one line for each framework that is missing.

    Raises
    ------
    BenchmarkError
        If a name is unknown, or what was asked for by name is not installed.
    """
    known = {contender.name: contender for contender in OTHERS}
    for name in names or []:
        if name not in known:
            raise BenchmarkError(f"--against: expected some of {', '.join(known)}, got '{name}'")
    wanted = [contender for contender in OTHERS if names is None or contender.name in names]
    missing = {c.framework for c in wanted if installed_version(c.framework) is None}
    lines = [f"{name} is not installed and left out ({HOW_TO_INSTALL[name]})" for name in sorted(missing)]
    if names is not None and lines:
        raise BenchmarkError(f"--against: {'; '.join(lines).replace(' and left out', '')}")
    return [contender for contender in wanted if contender.framework not in missing], lines
