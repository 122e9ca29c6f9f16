"""The `minicnn` command; its parts are listed in parser.py."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TextIO, cast

from minicnn.cli.failure import INTERRUPTED, report_failure
from minicnn.cli.parser import build_parser
from minicnn.cli.plain_output import PlainOutput
from minicnn.errors import MinicnnError

NOBODY_LISTENS = 141  # 128 + SIGPIPE
STANDARD_ERROR = 2  # the highest number of the three standard streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Without the program's name; None means those of this process.

    Returns
    -------
    int
        Exit status: 0 on success, 1 if a check failed, 2 on bad usage or bad input (with one line on
        standard error), 130 if the user stopped it.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name need not be text, nor known to the terminal
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with redirect_stdout(cast("TextIO", PlainOutput(sys.stdout))):
            options = build_parser().parse_args(arguments)
            status: int = options.command(options)
            sys.stdout.flush()
        return status
    except MinicnnError as error:
        return report_failure(str(error))
    except MemoryError as error:
        return report_failure(f"not enough memory ({error}); a smaller --batch-size needs less")
    except BrokenPipeError:  # as in `minicnn summary googlenet | head`: nobody listens any more
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nor to what Python flushes at the end
        return NOBODY_LISTENS
    except OSError as error:
        return report_failure(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("minicnn: stopped", file=sys.stderr)
        return INTERRUPTED


def _open_closed_streams() -> None:
    """Where standard streams are closed, as by ``>&-``, let them lead nowhere.

    Otherwise the next file that is opened, perhaps a checkpoint, is what the system takes for one of them.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process lasts
