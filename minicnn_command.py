"""What the command `minicnn` runs: `minicnn.cli`, with Ctrl-C also understood while that is being loaded.

It lies outside of the package, because loading any module of a package loads the package first, and that is
what takes a moment.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main() -> int:
    """Load the command line and run it; returns the exit status, see `minicnn.cli.main`."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as in the background
        from minicnn.cli import main as run

        return run()

    # An exception would not do: raised in the middle of an import it may be caught, or printed, by others.
    signal.signal(signal.SIGINT, _stop)
    from minicnn.cli import main as run

    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    except KeyboardInterrupt:  # just before or after what `run` looks after
        return _stop(signal.SIGINT, None)


def _stop(number: int, frame: FrameType | None) -> int:
    os.write(2, b"minicnn: stopped\n")
    os._exit(INTERRUPTED)
