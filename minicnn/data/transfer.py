"""Bring a file over HTTP to the disk, whole and checked, going on where an earlier try broke off.

What has come so far is kept beside the destination:

    NAME.part         the first bytes of the file
    NAME.part.json    where they are from, and the validator: what the server says identifies this version

The next try asks for the rest, on condition that the validator still holds (RFC 9110, 13.1.5 and 14).
A server that cannot do that, or has another file by now, sends the whole file, and so it starts over.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from minicnn.data.http_request import Answer, InterruptedDownload, request
from minicnn.errors import DataError

if TYPE_CHECKING:
    from tqdm import tqdm

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before the second try, the third, ...
LARGEST = 2**29  # bytes; CIFAR-10 has 170 million


class _Partial(NamedTuple):
    """What has been received of a file so far, and what it belongs to."""

    content: Path
    facts: Path

    @property
    def size(self) -> int:
        return self.content.stat().st_size if self.content.is_file() else 0

    def validator(self, url: str) -> str | None:
        """What the server said identifies this version, if it did and the address is the same."""
        try:
            facts = json.loads(self.facts.read_text())
            return str(facts["validator"]) if facts["url"] == url else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def start_over(self, url: str, validator: str | None) -> None:
        """Forget the content first: what is left if this is interrupted belongs together, or is empty."""
        self.content.write_bytes(b"")
        self.facts.write_text(json.dumps({"url": url, "validator": validator}) if validator else "")

    def remove(self) -> None:
        self.content.unlink(missing_ok=True)
        self.facts.unlink(missing_ok=True)


def md5_of(path: Path) -> str:
    """Return the MD5 checksum of a file, in small hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def fetch_file(url: str, md5: str, destination: Path, progress: bool) -> None:
    """Bring what is at an address to a file; five tries at most.

    Only one process at a time may fetch to a destination: see `minicnn.data.download`.

    Parameters
    ----------
    url : str
    md5 : str
        Checksum of the file.
    destination : Path
        The file appears there when it is complete and has the checksum, and not before.
    progress : bool
        Whether to show a bar, if standard error is a terminal.

    Raises
    ------
    DataError
        As described in `request`, or because what comes is not the file.
    OSError
        If it cannot be written.
    """
    from tqdm import tqdm

    partial = _Partial(*(destination.with_name(destination.name + end) for end in (".part", ".part.json")))
    if not (partial.size and md5_of(partial.content) == md5.lower()):  # if it was not stopped at the very end
        with tqdm(unit="B", unit_scale=True, desc="CIFAR-10", disable=None if progress else True) as bar:
            _try_repeatedly(url, md5, partial, bar)
    os.replace(partial.content, destination)
    partial.remove()


def _try_repeatedly(url: str, md5: str, partial: _Partial, bar: tqdm[NoReturn]) -> None:
    for wait in (*WAITS, None):
        rest_only = partial.validator(url) is not None and partial.size > 0
        try:
            _receive_rest(url, partial, bar)
            if (got := md5_of(partial.content)) == md5.lower():
                return
            wanted = f"{url}: expected a file with the MD5 checksum {md5}"
            raise DataError(f"{wanted}, got {got}: it is damaged, or another file")
        except InterruptedDownload as error:
            if wait is None:
                kept = ""
                if partial.validator(url) is None:
                    partial.remove()
                elif partial.size:
                    kept = f"; the {partial.size:,} bytes so far are kept for the next run"
                raise DataError(f"{error} (tried {len(WAITS) + 1} times{kept})") from None
        except DataError:
            partial.remove()
            if not rest_only or wait is None:
                raise  # otherwise the beginning may be what is wrong: once more, without it
        time.sleep(wait)


def _receive_rest(url: str, partial: _Partial, bar: tqdm[NoReturn]) -> None:
    """Add to the partial file what it lacks, and flush it to the disk."""
    validator = partial.validator(url)
    start = partial.size if validator else 0
    headers = {"Range": f"bytes={start}-", "If-Range": validator} if validator and start else {}
    with request(url, headers) as answer:
        start, total = _where_it_starts(url, start, answer)
        if start == 0:
            partial.start_over(url, _validator_of(answer))
        if total is not None and total > LARGEST:
            raise DataError(f"{url}: expected at most {LARGEST:,} bytes, the server announces {total:,}")
        bar.reset(total)
        bar.update(start)
        with partial.content.open("ab") as file:
            for piece in answer.pieces:
                start += len(piece)
                if start > (LARGEST if total is None else total):
                    most = f"at most {LARGEST:,}" if total is None else f"{total:,}"
                    raise DataError(f"{url}: expected {most} bytes, the server sends more")
                file.write(piece)
                bar.update(len(piece))
            file.flush()
            os.fsync(file.fileno())  # before it gets its final name: a power cut keeps that order
    if total is not None and start != total:
        raise InterruptedDownload(f"{url}: expected {total} bytes, the connection ended after {start}")


def _where_it_starts(url: str, asked_for: int, answer: Answer) -> tuple[int, int | None]:
    """Return which byte of the file the answer starts with, and the size of the file if it says so."""
    if answer.status == 206:
        text = answer.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", text)
        if match is None or int(match[1]) != asked_for or asked_for == 0:
            raise DataError(f"{url}: expected the bytes from {asked_for} on, the server sends {text!r}")
        return asked_for, int(match[2])
    if answer.status != 200:
        raise DataError(f"{url}: expected the CIFAR-10 archive, the server answers {answer.status}")
    length = answer.headers.get("Content-Length")
    if length is None:
        return 0, None
    if re.fullmatch(r"\d{1,18}", length) is None:
        raise DataError(f"{url}: expected the length of the file, the server announces {length!r}")
    return 0, int(length)


def _validator_of(answer: Answer) -> str | None:
    tag = answer.headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):  # a weak one says "much the same", not "the same bytes"
        return tag
    return answer.headers.get("Last-Modified")
