"""Writing files so that neither a crash nor a full disk nor a power cut costs what was there before.

A new file takes its place in this order: all bytes into a temporary file beside it; these down to the disk
(fsync); then the name (rename); then the folder, which holds the name, down to the disk. Were the name first,
a power cut could leave it pointing at bytes that never arrived.

Every operation on the disk goes through `os`: tests replace it to make each of them fail, one at a time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

CHUNK = 1 << 20  # bytes in one write
BINARY = getattr(os, "O_BINARY", 0)  # on Windows


def write_durably(path: Path, content: bytes | bytearray, keep_as: Path | None = None) -> None:
    """Replace a file; whatever happens, the old or the new one is there, whole.

    Parameters
    ----------
    path : Path
    content : bytes
    keep_as : Path, default=None
        The name that the old file gets, in place of what had that name; None: it goes.

    Raises
    ------
    OSError
        If it cannot be done. Then the old file still has its name, or `keep_as` if only the very last
        renaming failed, and the temporary file is gone if the disk lets it go.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o666)
        try:
            _write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if keep_as is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, keep_as)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # on a full disk, others need the room
        error.filename = error.filename or str(path)  # a failed write does not know
        raise
    sync_folder(path.parent)


def append_durably(path: Path, content: bytes, length: int | None) -> int:
    """Add to the end of a file, down to the disk.

    Parameters
    ----------
    path : Path
        Made if there is none.
    content : bytes
    length : int or None
        How long the file is, as far as it is known; what an attempt that failed has left after that is cut
        off. None: as long as it is found to be.

    Returns
    -------
    int
        How long it is now.

    Raises
    ------
    OSError
        If it cannot be done.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | BINARY, 0o666)
    try:
        found = os.lseek(descriptor, 0, os.SEEK_END)
        length = found if length is None else min(length, found)  # somebody may have shortened or removed it
        os.ftruncate(descriptor, length)
        os.lseek(descriptor, length, os.SEEK_SET)
        try:
            _write_all(descriptor, content)
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, length)  # no half of a line stays
            raise
    finally:
        os.close(descriptor)
    return length + len(content)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where there is such a thing.

    Raises
    ------
    OSError
        If it fails.
    """
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has nothing to force
            raise
    finally:
        os.close(descriptor)


def reason_of(error: OSError, path: Path) -> str:
    """Say why a file could not be written, and how much room there is on its disk."""
    reason = error.strerror or str(error)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return reason
    return f"{reason} ({free / 1e6:,.1f} MB free)"


def _write_all(descriptor: int, content: bytes | bytearray) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest[:CHUNK]) :]
