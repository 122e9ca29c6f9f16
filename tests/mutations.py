"""Damaged versions of a file: what disks, networks and strangers do to it, always the same for a number."""

import numpy as np


def mutate(content: bytes, other: bytes, number: int) -> bytes:
    """Return mutant `number` of a file; `other` is a second one of the same format to take pieces from."""
    rng = np.random.default_rng([20140917, number])
    kinds = [_flip_bits, _flip_bits_at_the_start, _overwrite, _cut_off, _cut_out, _splice, _swap_headers,
             _repeat, _exchange, _insert, _extreme_number]  # fmt: skip
    mutant = kinds[number % len(kinds)](content, other, rng)
    if rng.random() < 0.25:  # two misfortunes
        mutant = kinds[rng.integers(len(kinds))](mutant, other, rng)
    return mutant if mutant != content else _flip_bits(content, other, rng)


def _piece(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    """Begin and end of a piece: most are short."""
    if not content:
        return 0, 0
    length = int(min(len(content), 2 ** rng.uniform(0, np.log2(len(content) + 1))))
    begin = int(rng.integers(len(content) - length + 1))
    return begin, begin + length


def _flip_bits(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(2 ** rng.integers(0, 7)) if changed else 0):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _flip_bits_at_the_start(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Where the headers are."""
    length = int(min(len(content), 2 ** rng.integers(4, 12)))
    return _flip_bits(content[:length], other, rng) + content[length:]


def _overwrite(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _piece(content, rng)
    return content[:begin] + rng.bytes(end - begin) + content[end:]


def _cut_off(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(len(content) + 1)]


def _cut_out(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _piece(content, rng)
    return content[:begin] + content[end:]


def _splice(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    return content[:at] + other[at:]


def _swap_headers(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    length = int(2 ** rng.integers(2, 12))
    return other[:length] + content[length:]


def _repeat(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _piece(content, rng)
    times = int(min(2 ** rng.integers(1, 8), 1 + 2**20 // max(1, end - begin)))
    return content[:begin] + content[begin:end] * times + content[end:]


def _exchange(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _piece(content, rng)
    middle = (begin + end) // 2
    return content[:begin] + content[middle:end] + content[begin:middle] + content[end:]


def _insert(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    begin, end = _piece(other, rng)
    return content[:at] + other[begin:end] + content[at:]


def _extreme_number(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Sizes and offsets are where it hurts."""
    size = int(rng.choice([1, 2, 4, 8]))
    value = [bytes(size), b"\xff" * size, b"\x7f" + b"\xff" * (size - 1), b"\xff" * (size - 1) + b"\x7f"][
        rng.integers(4)
    ]
    at = int(rng.integers(min(len(content), 2 ** int(rng.integers(4, 16))) + 1))
    return content[:at] + value + content[at + size :]
