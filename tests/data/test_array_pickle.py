import os
import pickle
import pickletools
import tracemalloc

import numpy as np
import pytest

from minicnn.data.array_pickle import load_array_pickle
from minicnn.errors import DataError

# {"data": array([[1, 2, 3], [4, 5, 6]], uint8), "labels": [6, 9]} as Python 2 and NumPy 1 wrote it in 2009:
# byte strings throughout, numpy.core, dtype given in bytes.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04"
    b"K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07"
    b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x01\x02\x03\x04\x05\x06tb"
    b"U\x06labelsq\x08]q\x09(K\x06K\x09eu."
)

ARRAYS = [
    np.arange(6, dtype=np.uint8).reshape(2, 3),
    np.arange(6, dtype=np.float64).reshape(2, 3).T,
    np.arange(4, dtype=">i4"),
    np.array([True, False]),
    np.zeros((0, 5), np.uint8),
]


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: bytes):
        path = tmp_path / "batch"
        path.write_bytes(content)
        return load_array_pickle(path)

    return write_and_read


def test_python_2_pickle(read):
    batch = read(PYTHON_2)
    assert set(batch) == {"data", "labels"}
    assert batch["data"].dtype == np.uint8
    assert batch["data"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert batch["labels"] == [6, 9]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_of_every_protocol(read, protocol, array):
    back = read(pickle.dumps({b"data": array, "count": 3, b"names": [b"a", "b"]}, protocol))
    np.testing.assert_array_equal(back["data"], array)
    assert back["data"].dtype == array.dtype
    assert back["count"] == 3
    assert back["names"] == [b"a", "b"]


@pytest.mark.parametrize(("new", "old"), [(b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")])
def test_numpy_1_and_2_name_their_modules_differently(read, new, old):
    content = pickle.dumps({"data": ARRAYS[0]}, 2).replace(old + b".multiarray", new + b".multiarray")
    np.testing.assert_array_equal(read(content)["data"], ARRAYS[0])


class Command:
    """Runs a command when unpickled, as a malicious file would."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_refuses_to_run_commands(read, tmp_path, protocol):
    witness = tmp_path / "was-here"
    content = pickle.dumps({"data": Command(f"touch '{witness}'")}, protocol)
    with pytest.raises(DataError, match=r"batch: expected a pickle of arrays, but it asks for \w+\.system"):
        read(content)
    assert not witness.exists()
    pickle.loads(content)  # the attack is a real one
    assert witness.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cbuiltins\neval\n(S'1'\ntR.", r"asks for builtins\.eval, which no array needs"),
        (b"cnumpy\nload\n(S'x'\ntR.", r"asks for numpy\.load,"),
        (b"c__builtin__\ngetattr\n.", r"asks for __builtin__\.getattr,"),
        (b"cnumpy\nndarray.tofile\n.", r"asks for numpy\.ndarray\.tofile,"),
        (pickle.dumps({"a": np.array([{}], object)}, 2), "an array of dtype O8, expected plain numbers"),
        (pickle.dumps({"a": np.zeros(1, "V8")}, 2), "an array of dtype V8, expected plain numbers"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.", "bytes encoded as 'hex'"),
        (pickle.dumps([1, 2]), "expected a pickled dictionary, got a list"),
        (b"", r"damaged data \(ValueError: pickle exhausted before seeing STOP"),
        (b"\x00\x01\x02 no pickle at all", r"damaged data \(ValueError: at position 0, opcode .* unknown"),
        (PYTHON_2[:60], "damaged data"),
        (PYTHON_2[:-30] + b".", "damaged data"),
        (PYTHON_2.replace(b"K\x02K\x03\x86", b"K\x09K\x09\x86"), r"damaged data \(ValueError"),
    ],
)
def test_refuses_everything_else(read, content, words):
    with pytest.raises(DataError, match=words):
        read(content)


def test_nothing_in_a_refused_pickle_reaches_numpy(read):
    """A pickle may describe an array that lies about its memory; NumPy must never see the description."""
    honest = pickle.dumps({"data": np.arange(3, dtype=np.uint8)}, 2)
    strings = [arg for op, arg, _ in pickletools.genops(honest) if op.name == "BINUNICODE"]
    assert "u1" in strings
    lying = honest.replace(b"X\x02\x00\x00\x00u1", b"X\x02\x00\x00\x00f8")
    with pytest.raises(DataError, match="damaged data"):
        read(lying)


def instructions(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def nested_tuples(depth: int) -> bytes:
    """((x, x), (x, x)) and so on: a few bytes a level, and twice the time to hash it."""
    return b")" + b"".join(b"q%c" % level + b"h%c\x86" % level for level in range(depth))


ENCODED = b"X\x00\x00\x80\x00" + bytes(2**23) + b"q\x01X\x06\x00\x00\x00latin1q\x02"  # 8 MiB of text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (instructions(b"\x8e" + (10**12).to_bytes(8, "little")), "damaged data .*1000000000000 bytes"),
        (instructions(b"]r\xff\xff\xff\x7f"), "a pickled dictionary, got a list"),  # place 2**31 of the memo
        (instructions(b"}", nested_tuples(60), b"K\x01s"), "it has a tuple as a key, expected text"),
        (instructions(b"]" * 2**18), "more than 262,144 instructions"),
        (instructions(b"]", b"]a" * 50_000), "a pickled dictionary, got a list"),
        (instructions(b"(" * 50_000, b"l" * 50_000), "a pickled dictionary, got a list"),
        (
            pickle.dumps({"a": np.zeros((2, 3), np.uint8)}, 2).replace(
                b"K\x02K\x03\x86", b"\x8a\x09" + (2**64).to_bytes(9, "little") + b"K\x03\x86"
            ),
            r"damaged data \((OverflowError|ValueError)",
        ),
        (
            instructions(ENCODED, b"c_codecs\nencode\n(h\x01h\x02tR" * 9),
            "more than 67,108,864 bytes of text",
        ),
        (bytes(2**26 + 1), "a pickle of at most 67,108,864 bytes, got more"),
        (instructions(b"P1\n"), "damaged data|the instruction PERSID"),
        (instructions(b"(ios\nsystem\n"), "the instruction INST, which no array needs"),
        (instructions(b"]b"), "an instruction lacks|damaged data|no array"),
        (instructions(b"]]b"), "changes something that is no array"),
        (instructions(b"])R"), "calls something that is no function"),
        (instructions(b")K\x01a"), "adds to something that is no list"),
        (instructions(b"R"), "lacks its values"),
        (instructions(b"h\x07"), r"damaged data \(KeyError"),
        (b"\x80\x02.", "damaged data"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)  # fmt: skip
def test_bombs_and_nonsense(read, content, words):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=words):
            read(content)
        assert tracemalloc.get_traced_memory()[1] < 2**28 + 6 * len(content)
    finally:
        tracemalloc.stop()
