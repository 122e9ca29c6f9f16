"""A stand-in for `os` in minicnn.training.durable: records what is done, fails or loses power on demand.

It models what POSIX promises and no more: bytes are safe after fsync of the file, names after fsync of the
folder. What was not forced down may be there, may be missing, and may be zeros.
"""

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OPERATIONS = ("open", "write", "fsync", "close", "replace", "unlink", "ftruncate", "lseek")


class Disk:
    """Passes operations on to the system, after asking `before` (number, name), which may raise.

    Attributes
    ----------
    log : list of (name, arguments, result)
        What was done, in order.
    most : int
        Bytes that one write takes: a system may take fewer than it was given.
    """

    def __init__(self, before: Callable[[int, str], None] = lambda number, name: None, most: int = 1 << 30):
        self.log: list[tuple[str, tuple[Any, ...], Any]] = []
        self.before = before
        self.most = most
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        if not callable(value):  # a constant
            return value
        assert name in OPERATIONS, f"os.{name}: an operation that this stand-in does not know"

        def operation(*arguments: Any) -> Any:
            number, self.asked = self.asked, self.asked + 1
            self.before(number, name)
            if name == "write":
                descriptor, content = arguments
                content = bytes(content[: self.most])
                result = os.write(descriptor, content)
                assert result == len(content)
                self.log.append((name, (descriptor, content), result))
                return result
            result = value(*arguments)
            self.log.append((name, arguments, result))
            return result

        return operation


def fail_at(place: int, code: int = errno.ENOSPC, name: str | None = None) -> Callable[[int, str], None]:
    """Let one operation fail."""

    def before(number: int, operation: str) -> None:
        if number == place:
            assert name in (None, operation)
            raise OSError(code, os.strerror(code))

    return before


def after_power_cut(log: list, files: dict[str, bytes], folder: Path) -> Iterator[dict[str, bytes]]:
    """Yield every state in which a power cut after these operations can leave a folder.

    Parameters
    ----------
    log : list
        Of a `Disk`.
    files : dict of bytes
        By name, what was safe on the disk before.
    folder : Path
        Whose files these are.
    """
    inodes = {f"before {name}": content for name, content in files.items()}  # in the page cache
    safe = dict(inodes)  # on the disk
    names = {name: f"before {name}" for name in files}  # in the cache
    safe_names = dict(names)
    pending: list[tuple[str, ...]] = []  # changes of names, not forced down yet
    opened: dict[int, str | None] = {}
    for number, (name, arguments, result) in enumerate(log):
        if name == "open":
            path = Path(arguments[0])
            if path == folder:
                opened[result] = None
                continue
            inode = names.get(path.name)
            if inode is None:
                inode = f"{number} {path.name}"
                names[path.name] = inode
                inodes[inode], safe[inode] = b"", b""
                pending.append(("link", path.name, inode))
            if arguments[1] & os.O_TRUNC:
                inodes[inode] = b""
            opened[result] = inode
        elif name == "write":
            inodes[opened[arguments[0]]] += arguments[1]
        elif name == "fsync":
            inode = opened[arguments[0]]
            if inode is None:
                safe_names, pending = dict(names), []
            else:
                safe[inode] = inodes[inode]
        elif name == "replace":
            source, target = (Path(path).name for path in arguments)
            pending.append(("rename", source, target))
            names[target] = names.pop(source)
        elif name == "unlink":
            names.pop(Path(arguments[0]).name)
            pending.append(("unlink", Path(arguments[0]).name))
        else:
            assert name == "close", f"os.{name} is not modelled"
    for happened in itertools.product((False, True), repeat=len(pending)):
        found = dict(safe_names)
        for change, did in zip(pending, happened, strict=True):
            if not did:
                continue
            if change[0] == "link":
                found[change[1]] = change[2]
            elif change[0] == "unlink":
                found.pop(change[1], None)
            else:  # a rename moves what the name meant in the cache, whether or not that name had arrived
                moved = _inode_before(change, pending, safe_names)
                if found.get(change[1]) == moved:
                    del found[change[1]]
                found[change[2]] = moved
        for unsafe in _unsafe_contents(found, inodes, safe):
            yield {name: unsafe.get(inode, inodes[inode]) for name, inode in found.items()}


def _inode_before(rename: tuple[str, ...], pending: list[tuple[str, ...]], start: dict[str, str]) -> str:
    names = dict(start)
    for change in pending:
        if change is rename:
            return names[change[1]]
        if change[0] == "link":
            names[change[1]] = change[2]
        elif change[0] == "unlink":
            names.pop(change[1], None)
        else:
            names[change[2]] = names.pop(change[1])
    raise AssertionError


def _unsafe_contents(
    found: dict[str, str], inodes: dict[str, bytes], safe: dict[str, bytes]
) -> Iterator[dict[str, bytes]]:
    """Yield what may be on the disk of the files that were not forced down."""
    dirty = sorted({inode for inode in found.values() if inodes[inode] != safe[inode]})
    for fate in ("arrived", "lost", "half", "zeros", "half zeros"):
        contents = {}
        for inode in dirty:
            whole = inodes[inode]
            half = len(whole) // 2
            contents[inode] = {
                "arrived": whole,
                "lost": safe[inode],
                "half": whole[:half],
                "zeros": bytes(len(whole)),
                "half zeros": whole[:half] + bytes(len(whole) - half),
            }[fate]
        yield contents
        if not dirty:
            return
