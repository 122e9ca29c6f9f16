"""Standard output that commands no terminal: names of files, classes and modules may hold anything."""

from __future__ import annotations

import unicodedata
from typing import Any, TextIO


class PlainOutput:
    """A stream that passes letters, spaces, and ends and beginnings of lines; all else is written out.

    Parameters
    ----------
    stream : text stream
        Where it goes, and what everything but writing is left to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, as `printable` has it."""
        return self._stream.write(printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def printable(text: str) -> str:
    r"""Return text that commands no terminal: it clears nothing, and changes no colour.

    Examples
    --------
    >>> print(printable("plain, \x1b[31m red"))
    plain, \x1b[31m red
    """
    return "".join(letter if _is_harmless(letter) else ascii(letter)[1:-1] for letter in text)


def _is_harmless(letter: str) -> bool:
    # Progress bars begin their line again with \r; spaces come in several widths.
    return letter.isprintable() or letter in "\n\r\t" or unicodedata.category(letter) == "Zs"
