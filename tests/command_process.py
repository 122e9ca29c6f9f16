"""The command `minicnn` as a process of its own, to send signals to."""

import subprocess
import sys
from collections.abc import Sequence

# Who starts the tests in the background, or with nohup, has them, and what they start, ignore these signals.
STOPPABLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "hasattr(signal, 'SIGHUP') and signal.signal(signal.SIGHUP, signal.SIG_DFL)"
)
COMMAND = f"{STOPPABLE}; import sys; from minicnn.cli import main; sys.exit(main())"


def start(arguments: Sequence[str]) -> subprocess.Popen:
    """Start `minicnn` with some arguments; what it prints can be read from the process."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
