"""Fetch CIFAR-10 once and keep it in the user's cache folder."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minicnn.data.archive import unpack_files
from minicnn.data.cifar10 import ALL_BATCHES
from minicnn.data.transfer import fetch_file, md5_of
from minicnn.errors import DataError
from minicnn.file_lock import CannotLock, acquire

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


def cache_folder() -> Path:
    """Return the folder where downloads are kept; it need not exist yet.

    Returns
    -------
    Path
        `$MINICNN_CACHE`, else `$XDG_CACHE_HOME/minicnn`, else `~/.cache/minicnn`.

    Raises
    ------
    DataError
        If that would be in the home of a user who has none, as in some containers.
    """
    try:
        if chosen := os.environ.get("MINICNN_CACHE"):
            return Path(chosen).expanduser()
        if base := os.environ.get("XDG_CACHE_HOME"):
            return Path(base) / "minicnn"
        return Path.home() / ".cache" / "minicnn"
    except RuntimeError:
        raise DataError(
            "there is no home folder to keep downloads in: set MINICNN_CACHE to a folder, or unpack the "
            "archive yourself and say where with --data-dir"
        ) from None


def fetch_cifar10(
    url: str = CIFAR10_URL,
    md5: str = CIFAR10_MD5,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Download the binary version of CIFAR-10, unless it is there already, and unpack it.

    Parameters
    ----------
    url : str
        Where the archive is; the default is the official address, about 160 MiB.
    md5 : str
        Its checksum, 32 hexadecimal digits. MD5 is what the authors publish: it tells damaged downloads,
        not clever attackers.
    cache : str or Path, default=None
        Where to keep archive and batch files; None means `cache_folder()`. Archives of different checksums
        do not get into each other's way.
    progress : bool, default=True
        Whether to show a bar, if standard error is a terminal.

    Returns
    -------
    Path
        The folder of the batch files, for `load_cifar10`.

    Raises
    ------
    DataError
        If the address cannot be reached, answers with an error or with something else than the archive,
        `md5` is no checksum, or the cache folder cannot be written.

    Notes
    -----
    A download that breaks is tried again, five times in all, and goes on where it stopped; so does the next
    call. What has a final name is whole and has the checksum, even if the program is killed at any moment, or
    the power fails.
    Of several processes that fetch the same archive one does, and the others wait for it.
    """
    if not re.fullmatch("[0-9a-fA-F]{32}", md5):
        raise DataError(f"fetch_cifar10: md5: expected 32 hexadecimal digits, got {md5!r}")
    folder = (cache_folder() if cache is None else Path(cache)) / f"cifar10-{md5[:12].lower()}"
    archive = folder / "cifar-10-binary.tar.gz"
    batches = folder / "cifar-10-batches-bin"
    if batches.is_dir():
        return batches
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder, progress):
            if not batches.is_dir():  # it may be by now: another process was at it
                if not archive.is_file() or md5_of(archive) != md5.lower():
                    fetch_file(url, md5, archive, progress)
                _unpack(archive, batches, url)
    except OSError as error:
        raise DataError(f"{folder}: cannot keep CIFAR-10 there ({error.strerror or error})") from None
    return batches


@contextmanager
def _alone_in(folder: Path, progress: bool) -> Iterator[None]:
    """Wait until no other process fetches into the folder; the system unlocks it for one that was killed."""
    from tqdm import tqdm

    with (folder / "lock").open("wb") as file:
        try:
            if not acquire(file.fileno(), wait=False):
                waiting = "CIFAR-10: waiting for another program that fetches it"
                with tqdm(bar_format="{desc}", desc=waiting, disable=None if progress else True):
                    acquire(file.fileno(), wait=True)
        except CannotLock as reason:
            tqdm.write(f"{folder}: {reason}: do not fetch CIFAR-10 twice at once", file=sys.stderr)
        yield


def _unpack(archive: Path, destination: Path, url: str) -> None:
    """Unpack the batch files to a folder, which appears when it is complete."""
    for left_by_a_killed_process in destination.parent.glob("unfinished-*"):
        shutil.rmtree(left_by_a_killed_process)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=destination.parent) as temporary:
        unpacked = Path(temporary) / destination.name
        unpacked.mkdir()
        unpack_files(archive, [f"{name}.bin" for name in ALL_BATCHES], unpacked, url)
        os.rename(unpacked, destination)
