"""Fetch CIFAR-10 once and keep it in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from gzip import BadGzipFile
from pathlib import Path

from minicnn.data.cifar10 import ALL_BATCHES
from minicnn.errors import DataError

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"

TIMEOUT = 30.0  # seconds without a byte before we give up
CHUNK = 2**18  # bytes


def cache_folder() -> Path:
    """Return the folder where downloads are kept; it need not exist yet.

    Returns
    -------
    Path
        `$MINICNN_CACHE`, else `$XDG_CACHE_HOME/minicnn`, else `~/.cache/minicnn`.
    """
    if chosen := os.environ.get("MINICNN_CACHE"):
        return Path(chosen).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "minicnn"
    return Path.home() / ".cache" / "minicnn"


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
        `md5` is no checksum, or the cache folder cannot be written. What was left half-way is removed.
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
        # Everything is made under a name of its own and renamed when it is complete: what has the right
        # name is whole, even if the program is killed or two of them fetch at the same time.
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder) as temporary:
            if not archive.is_file():
                download = Path(temporary) / archive.name
                _download(url, md5, download, progress)
                os.replace(download, archive)
            unpacked = Path(temporary) / batches.name
            unpacked.mkdir()
            _unpack(archive, unpacked, url)
            try:
                os.rename(unpacked, batches)
            except OSError:
                if not batches.is_dir():  # otherwise another program was faster, and its files are as good
                    raise
    except OSError as error:
        raise DataError(f"{folder}: cannot keep CIFAR-10 there ({error.strerror or error})") from None
    return batches


def _download(url: str, md5: str, destination: Path, progress: bool) -> None:
    """Write what is at `url` to `destination`, and check that it is what was asked for."""
    from tqdm import tqdm

    digest = hashlib.md5(usedforsecurity=False)
    received = 0
    total: int | None = None
    with (
        destination.open("wb") as file,
        tqdm(unit="B", unit_scale=True, desc="CIFAR-10", disable=None if progress else True) as bar,
    ):
        for chunk, total in _receive(url):
            if bar.total != total:
                bar.reset(total)
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            bar.update(len(chunk))
    if total is not None and received != total:
        raise DataError(f"{url}: expected {total} bytes, the connection ended after {received}; try again")
    if digest.hexdigest() != md5.lower():
        raise DataError(
            f"{url}: expected a file with the MD5 checksum {md5}, got {digest.hexdigest()}: "
            f"it is damaged, or another file"
        )


def _receive(url: str) -> Iterator[tuple[bytes, int | None]]:
    """Yield what is at `url` piece by piece, each with the length of the whole if the server tells it."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    hint = "without a network, unpack the archive yourself and say where with --data-dir"
    try:
        request = Request(url)
    except ValueError:
        raise DataError(f"{url}: expected an address such as {CIFAR10_URL}") from None
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            length = response.headers.get("Content-Length")
            while chunk := response.read(CHUNK):
                yield chunk, None if length is None else int(length)
    except HTTPError as error:
        reason = f"the server answers {error.code} {error.reason}"
        error.close()
        raise DataError(f"{url}: expected the CIFAR-10 archive, {reason}") from None
    except URLError as error:
        raise DataError(f"{url}: cannot be reached ({error.reason}); {hint}") from None
    except TimeoutError:
        raise DataError(f"{url}: the server sent nothing for {TIMEOUT:g} seconds; {hint}") from None
    except (HTTPException, OSError) as error:
        raise DataError(f"{url}: the connection broke ({type(error).__name__}: {error}); {hint}") from None


def _unpack(archive: Path, destination: Path, url: str) -> None:
    """Write the batch files of the archive to a folder.

    They are picked by name and written under names of ours, so nothing else in an archive, such as a path
    that leads out of the folder, has any effect.
    """
    import tarfile

    wanted = {f"{name}.bin" for name in ALL_BATCHES}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                if name in wanted and member.isfile():
                    source = tar.extractfile(member)
                    if source is not None:
                        with source, (destination / name).open("wb") as target:
                            shutil.copyfileobj(source, target)
                        wanted.remove(name)
    except (tarfile.TarError, EOFError, zlib.error, BadGzipFile) as error:
        raise DataError(f"{url}: expected a tar archive, got damaged data ({error})") from None
    if wanted:
        raise DataError(
            f"{url}: expected the binary version of CIFAR-10, without {', '.join(sorted(wanted))}"
        )
