"""A lock on the folder of a run, so that two processes do not write one checkpoint over the other's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from minicnn.errors import CheckpointError
from minicnn.file_lock import CannotLock, acquire

LOCK = "run.lock"


@contextlib.contextmanager
def lock_folder(folder: Path, say: Callable[[str], None] = print) -> Iterator[None]:
    """Hold the lock of a folder inside a ``with`` block.

    Parameters
    ----------
    folder : Path
        It exists; the file run.lock is made in it, and holds the number of the process.
    say : callable, default=print
        Takes a line that says so where the system cannot lock files.

    Raises
    ------
    CheckpointError
        If another process holds it, or the folder cannot be written to.
    """
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise CheckpointError(f"{folder}: nothing can be written there: {error.strerror}") from None
    try:
        try:
            free = acquire(descriptor, wait=False)
        except CannotLock as reason:
            say(f"{folder}: {reason}: see to it yourself that no other process trains this run")
        else:
            if not free:
                raise CheckpointError(_taken(folder, os.read(descriptor, 20)))
            with contextlib.suppress(OSError):  # the number is a help, no part of the lock
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)  # which releases it


def _taken(folder: Path, written: bytes) -> str:
    holder = written.decode(errors="replace").strip()
    named = f" (number {holder})" if holder.isdecimal() else ""
    return f"{folder}: another process{named} is training this run; wait until it ends, or stop it"
