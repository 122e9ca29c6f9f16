"""A lock on the folder of a run, so that two processes do not write one checkpoint over the other's.

The kernel holds it (flock) and releases it when the process ends, however it ends: a lock that has to be
removed by hand after a crash would be removed by hand once too often.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from minicnn.errors import CheckpointError

LOCK = "run.lock"
NOT_SUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


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
        if _acquire(descriptor, path, say):
            with contextlib.suppress(OSError):  # the number is a help, no part of the lock
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)  # which releases it


def _acquire(descriptor: int, path: Path, say: Callable[[str], None]) -> bool:
    try:
        import fcntl
    except ImportError:
        say(
            f"{path.parent}: this system cannot lock files (it has no flock): see to it yourself that no "
            "other process trains this run"
        )
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip()
        named = f" (number {holder})" if holder.isdecimal() else ""
        raise CheckpointError(
            f"{path.parent}: another process{named} is training this run; wait until it ends, or stop it"
        ) from None
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
        say(
            f"{path.parent}: this file system cannot lock files ({error.strerror}): see to it yourself that "
            "no other process trains this run"
        )
        return False
    return True
