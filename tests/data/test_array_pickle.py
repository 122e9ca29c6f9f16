import os
import pickle
import pickletools

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
        (pickle.dumps({"a": np.array([{}], object)}, 2), "an array of dtype object, expected plain numbers"),
        (pickle.dumps({"a": np.zeros(1, "V8")}, 2), r"an array of dtype \|V8, expected plain numbers"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.", "bytes encoded as 'hex'"),
        (pickle.dumps([1, 2]), "expected a pickled dictionary, got a list"),
        (b"", r"damaged data \(EOFError"),
        (b"\x00\x01\x02 no pickle at all", r"damaged data \(UnpicklingError"),
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
