"""Unpack a few files of a tar archive that may be anybody's.

They are picked by name and written under names of ours, so nothing else in an archive, such as links or a
path that leads out of the folder, has any effect. An archive of a few kilobytes can describe terabytes and a
billion members, so everything is bounded: the bytes that are unpacked, the members, and the size of each.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from minicnn.data.cifar10 import OFFICIAL_RECORDS, RECORD
from minicnn.errors import DataError

LARGEST_FILE = OFFICIAL_RECORDS * RECORD  # bytes
LARGEST_UNPACKED = 2**28  # bytes; the official archive has 184 million
LARGEST_HEADER = 2**20  # bytes read between two members: long names, maps of sparse files
MOST_MEMBERS = 1000


class _BoundedReader(io.RawIOBase):
    """Reads no further than `LARGEST_UNPACKED`, and no more at a time than what was allowed before."""

    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        self.file = file
        self.allowed = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.allowed:
            raise DataError("one of its headers does not end")
        self.allowed -= size
        return self.file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset > LARGEST_UNPACKED:
            raise DataError(f"it unpacks to more than {LARGEST_UNPACKED:,} bytes")
        return self.file.seek(offset)

    def tell(self) -> int:
        return self.file.tell()


def unpack_files(archive: Path, names: Sequence[str], destination: Path, source: str) -> None:
    """Write files of an archive to a folder, wherever in the archive they lie.

    Parameters
    ----------
    archive : Path
        Tar, plain or compressed by gzip.
    names : sequence of str
        Which files, without folders. If there are several of a name, the first counts.
    destination : Path
        An empty folder.
    source : str
        What errors name.

    Raises
    ------
    DataError
        If the archive is damaged, lacks one of the files, or is larger than it should be.
    OSError
        If a file cannot be written.
    """
    missing = list(names)
    with archive.open("rb") as file:
        files = _files(file, names)
        while missing:
            try:
                name, content = next(files)
            except StopIteration:
                lacking = ", ".join(sorted(missing))
                raise DataError(
                    f"{source}: expected the binary version of CIFAR-10, without {lacking}"
                ) from None
            except DataError as error:
                raise DataError(f"{source}: expected the archive of CIFAR-10, but {error}") from None
            except Exception as error:  # noqa: BLE001 - tarfile and zlib raise many kinds on damaged bytes
                raise DataError(
                    f"{source}: expected a tar archive, got damaged data ({type(error).__name__}: {error})"
                ) from None
            if name in missing:
                with (destination / name).open("wb") as unpacked:
                    unpacked.write(content)
                    unpacked.flush()
                    os.fsync(unpacked.fileno())  # before the folder gets its final name: see `fetch_cifar10`
                missing.remove(name)


def _files(file: BinaryIO, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of those members that are regular files of these names."""
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    reader = _BoundedReader(gzip.GzipFile(fileobj=file) if compressed else file)
    reader.allowed = LARGEST_HEADER
    with tarfile.open(fileobj=reader, mode="r:") as tar:
        for _ in range(MOST_MEMBERS):
            reader.allowed = LARGEST_HEADER
            member = tar.next()
            if member is None:
                return
            name = member.name.rsplit("/", 1)[-1]
            if name not in names or not member.isfile():
                continue
            if not 0 <= member.size <= LARGEST_FILE:
                raise DataError(f"{name} has {member.size:,} bytes, expected at most {LARGEST_FILE:,}")
            reader.allowed = member.size
            source = tar.extractfile(member)
            if source is not None:
                yield name, source.read()
    raise DataError(f"it has more than {MOST_MEMBERS:,} members")
