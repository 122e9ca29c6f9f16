"""Reads mutants of a file in a process of its own, which may take only so much memory.

    python caged_reader.py FORMAT FOLDER FIRST LAST

FOLDER holds `original` and `other`. For every number one line of JSON is printed: what came of the mutant,
and how many bytes the process has taken so far at most, over what it had before.
"""

import hashlib
import json
import re
import resource
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minicnn.data import load_cifar10, read_image
from minicnn.data.archive import unpack_files
from minicnn.data.cifar10 import ALL_BATCHES
from minicnn.data.transfer import md5_of
from minicnn.errors import DataError, MinicnnError
from minicnn.training import load_checkpoint
from mutations import mutate

ALLOWED = 2**30  # bytes


def digest_of(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def checkpoint(path: Path) -> str:
    """All that a checkpoint holds; spaces and order in its JSON are not content."""
    read = load_checkpoint(path)
    groups = [read.weights, read.velocity, read.averages]
    arrays = [array for group in groups for _, array in sorted(group.items())]
    facts = [read.config.to_json(), read.data.to_json(), read.epoch, read.step, read.state]
    names = [sorted(group) for group in groups]
    return (
        digest_of(*arrays) + hashlib.sha256(json.dumps([facts, names], sort_keys=True).encode()).hexdigest()
    )


def cifar(name: str) -> Callable[[Path], str]:
    def read(path: Path) -> str:
        folder = path.parent / "cifar"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
        return digest_of(*load_cifar10(folder, "test"))

    return read


def archive(path: Path) -> str:
    """Whoever offers the archive says what its checksum is, so it protects nobody."""
    folder = path.parent / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    unpack_files(path, [f"{name}.bin" for name in ALL_BATCHES], folder, "archive")
    return digest_of(*load_cifar10(folder, "test"))


def checked_archive(path: Path) -> str:
    """The archive that is kept, as `fetch_cifar10` looks at it."""
    if md5_of(path) != md5_of(path.parent / "original"):
        raise DataError("another checksum")
    return archive(path)


def image(path: Path) -> str:
    return digest_of(read_image(path, 32))


READERS: dict[str, Callable[[Path], str]] = {
    "checkpoint": checkpoint,
    "cifar-binary": cifar("test_batch.bin"),
    "cifar-pickle": cifar("test_batch"),
    "archive": archive,
    "plain-archive": archive,
    "checked-archive": checked_archive,
    **dict.fromkeys(("png", "jpeg", "gif", "tiff", "webp"), image),
}


def memory(kind: str) -> int:
    """Bytes of this process: VmSize is what is limited, VmHWM what it really took at most."""
    return 1024 * int(re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


def main(kind: str, folder: Path, first: int, last: int) -> None:
    original, other = (folder / "original").read_bytes(), (folder / "other").read_bytes()
    read = READERS[kind]
    expected = read(folder / "original")
    before = memory("VmHWM")
    limit = memory("VmSize") + ALLOWED
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    path = folder / "mutant"
    for number in range(first, last):
        path.write_bytes(mutate(original, other, number))
        try:
            outcome = "same" if read(path) == expected else "different"
        except MinicnnError as error:
            outcome = "refused" if "\n" not in str(error) and len(str(error)) < 2000 else f"long: {error}"
            if "MemoryError" in str(error) or "memory" in str(error):
                outcome = f"refused for memory: {error}"
        except BaseException:  # noqa: BLE001 - exactly that is looked for
            outcome = traceback.format_exc()
        print(json.dumps([number, outcome, memory("VmHWM") - before]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
