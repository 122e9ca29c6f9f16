"""Commands that are printed for the user to paste into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path


def as_argument(path: str | Path) -> str:
    """Write a path so that a shell, and then the command, take it for this path.

    Examples
    --------
    >>> print(as_argument("runs/1"), as_argument("my runs/1"), as_argument("-1"))
    runs/1 'my runs/1' ./-1
    """
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def resume_command(folder: str | Path, program: str = "minicnn") -> str:
    """Return the command that goes on with a run.

    Examples
    --------
    >>> resume_command("runs/1")
    'minicnn train --resume runs/1'
    """
    return f"{program} train --resume {as_argument(folder)}"
