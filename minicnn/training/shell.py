"""Commands that are printed for the user to paste into a shell."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def as_argument(path: str | Path) -> str:
    r"""Write a path so that a shell, and then the command, take it for this path.

    Examples
    --------
    >>> print(as_argument("runs/1"), as_argument("my runs/1"), as_argument("-1"))
    runs/1 'my runs/1' ./-1

    What the terminal would not show, or take for a command, is written as bash, zsh and ksh read it.

    >>> print(as_argument("tab\there"))
    $'tab\x09here'
    """
    text = str(path)
    text = f"./{text}" if text.startswith("-") else text
    if text.isprintable():
        return shlex.quote(text)
    plain = [letter.isprintable() and letter not in "'\\" for letter in text]
    letters = [a if is_plain else _as_bytes(a) for a, is_plain in zip(text, plain, strict=True)]
    return f"$'{''.join(letters)}'"


def _as_bytes(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))


def resume_command(folder: str | Path, program: str = "minicnn") -> str:
    """Return the command that goes on with a run.

    Examples
    --------
    >>> resume_command("runs/1")
    'minicnn train --resume runs/1'
    """
    return f"{program} train --resume {as_argument(folder)}"
