"""The bytes of a checkpoint: a safetensors file that carries a checksum of itself.

    8 bytes     length of the header
    header      JSON: name, dtype, shape and place of each array, and our own text, JSON too
    arrays

Our text begins with the SHA-256 of the whole file, computed with 64 zeros in the place of the checksum. So it
covers every byte: what is in the arrays, and just as much their names, dtypes and shapes, the epoch, and all
settings. Not CRC-32: one damaged file in four billion would pass, and a forged one always. SHA-256 takes
less time than the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minicnn.errors import CheckpointError

FORMAT = 2
HEADER_KEY = "minicnn"
UNSIGNED = "0" * 64  # hexadecimal digits of a SHA-256
LONGEST_HEADER = 1 << 24  # bytes; a file that is none of ours is not read into memory to find out


def encode(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytearray:
    """Return the content of a file with a header that JSON can hold, and arrays by name."""
    from safetensors.numpy import save

    text = json.dumps({"checksum": UNSIGNED, "format": FORMAT, **header})
    content = bytearray(save(dict(arrays), {HEADER_KEY: text}))
    place = content.index(UNSIGNED.encode())  # the first one: what follows may hold zeros, too
    content[place : place + len(UNSIGNED)] = hashlib.sha256(content).hexdigest().encode()
    return content


def decode(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file that `encode` made, or one of format 1; return header and arrays.

    Raises
    ------
    CheckpointError
        If it is damaged, or something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with open(path, "rb") as file:
            header, content = _read(file)
        arrays = load(content)
    except CheckpointError:
        raise
    except KeyError as error:  # how bfloat16 and floats of 8 bits fail
        raise CheckpointError(f"an array has a dtype that NumPy does not have ({error})") from None
    except (SafetensorError, OSError, EOFError, ValueError, TypeError, OverflowError) as error:
        raise CheckpointError(f"damaged, or not a safetensors file ({error})") from None
    if header.get("format") == 1 and header.get("checksum") != _checksum_of_format_1(arrays):
        raise CheckpointError("damaged: its arrays do not have the checksum they were written with")
    return header, arrays


def _read(file: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read a file and compare its checksum; of a file that is none of ours, read the header only."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8:
        raise EOFError(f"it ends after {size:,} bytes, within its header")
    if length > LONGEST_HEADER:
        raise EOFError(f"its header would be {length:,} bytes long")
    head = file.read(length)
    try:
        outer = json.loads(head)
        text = outer.pop("__metadata__", {}).get(HEADER_KEY)
        end = 8 + length + max((array["data_offsets"][1] for array in outer.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise EOFError("its header is not that of one") from None
    if text is None:
        raise CheckpointError("a safetensors file, but not a checkpoint of minicnn's: it has no run header")
    if end != size:
        raise EOFError(f"it has {size:,} bytes, and its header tells of {end:,}")
    try:
        header = json.loads(text)
        written, checksum = header["format"], header["checksum"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"its run header is damaged ({error!r})") from None
    if written not in (1, FORMAT):
        raise CheckpointError(f"written in format {written}, this version reads 1 and {FORMAT}")
    content = start + head + file.read()
    if written == FORMAT and not _is_signed(content, checksum):
        raise CheckpointError("damaged: it does not have the checksum it was written with")
    return header, content


def _is_signed(content: bytes, checksum: Any) -> bool:
    if not isinstance(checksum, str) or len(checksum) != len(UNSIGNED) or not checksum.isascii():
        return False
    before, found, after = content.partition(checksum.encode())
    digest = hashlib.sha256(before)
    digest.update(UNSIGNED.encode())
    digest.update(after)
    return bool(found) and digest.hexdigest() == checksum


def _checksum_of_format_1(arrays: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of all arrays, in the order of their names, and of nothing else."""
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), checksum))
    return checksum
