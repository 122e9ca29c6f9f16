"""How far a run is: a bar on a terminal, nothing otherwise."""

from __future__ import annotations

import shutil
import sys

from tqdm import tqdm


class Progress:
    """A bar that moves on with every turn. A context manager.

    Parameters
    ----------
    turns : int
        Of all contenders on all workloads.
    """

    def __init__(self, turns: int) -> None:
        self._bar = tqdm(
            total=turns, unit=" turns", leave=False, disable=not sys.stderr.isatty(),
            # Measured here, because tqdm shows nothing on a terminal that does not tell its height.
            ncols=shutil.get_terminal_size(fallback=(100, 24)).columns - 1, nrows=24,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left{postfix}",
        )  # fmt: skip

    def begin(self, what: str) -> None:
        """Say what comes next; the processes are started first."""
        self._bar.set_description_str(what)
        self._bar.set_postfix_str("starting")

    def after_turn(self, who: str) -> None:
        """Move on."""
        self._bar.set_postfix_str(who, refresh=False)
        self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()
