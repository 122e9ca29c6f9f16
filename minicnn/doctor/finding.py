"""What the doctor has to say: one `Finding`, and how its numbers are written."""

from __future__ import annotations

from dataclasses import dataclass

GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """Something the user should know.

    Attributes
    ----------
    name : str
        What kind of finding it is, in two or three words.
    found : str
        What is the case, and what it means.
    advice : str
        What to do about it; empty if there is nothing to do.
    commands : tuple of str
        What to type, line by line; may be empty.
    blocks : bool
        Whether the GPU cannot be used because of it.
    """

    name: str
    found: str
    advice: str = ""
    commands: tuple[str, ...] = ()
    blocks: bool = True

    def one_line(self) -> str:
        """Join everything.

        Examples
        --------
        >>> Finding("no-cupy", "CuPy is not installed", "install it", ("pip install cupy",)).one_line()
        'CuPy is not installed; install it: pip install cupy'
        """
        text = "; ".join(filter(None, (self.found, self.advice)))
        return f"{text}: {' && '.join(self.commands)}" if self.commands else text


def in_gibibytes(size: int) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> in_gibibytes(3 << 29)
    '1.5 GiB'
    """
    return f"{size / GIBIBYTE:.1f} GiB"


def dotted(version: tuple[int, int] | None) -> str:
    """Write a version for people.

    Examples
    --------
    >>> dotted((12, 4)), dotted(None)
    ('12.4', '?')
    """
    return "?" if version is None else f"{version[0]}.{version[1]}"


def listed(names: tuple[str, ...]) -> str:
    """Join names, of which there are at least two.

    Examples
    --------
    >>> listed(("cupy", "cupy-cuda12x", "cupy-cuda13x"))
    'cupy, cupy-cuda12x and cupy-cuda13x'
    """
    return f"{', '.join(names[:-1])} and {names[-1]}"
