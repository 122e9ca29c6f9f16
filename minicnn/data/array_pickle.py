"""Read a pickled dictionary of NumPy arrays without running what the pickle says.

A pickle is a program: it may name any function of any module and have it called, `os.system` included.
The python version of CIFAR-10 is a set of pickles, so it is read here by an unpickler that knows the few
names an array needs and refuses every other. Even those few lead to stand-ins written below and not to
NumPy: a pickle can hand NumPy a description of an array that does not fit its memory.

An array is pickled as a call and a state. The call makes an empty array, the state fills it:

    numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b")
    state: (version, shape, dtype, whether columns come first, bytes)

NumPy 2 calls the module `numpy._core`; protocol 5 makes the array in one call, `_frombuffer`; Python 3
writes bytes for Python 2 as `_codecs.encode(text, "latin1")`.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import DataError


class _Dtype:
    """Stands in for numpy.dtype: plain numbers only."""

    def __init__(self, code: bytes | str, align: bool = False, copy: bool = False) -> None:
        self.dtype = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code)
        if self.dtype.kind not in "biuf":
            raise DataError(f"it holds an array of dtype {self.dtype}, expected plain numbers")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        byte_order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(">" if byte_order == ">" else "<")


class _Array:
    """Stands in for numpy.ndarray: `array` is None until the state has come."""

    def __init__(self) -> None:
        self.array: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, columns_first, content = state
        self.fill(content, dtype, shape, "F" if columns_first else "C")

    def fill(self, content: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> None:
        flat = np.frombuffer(content, dtype.dtype)
        self.array = flat.reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(array_type: type, shape: tuple[int, ...], code: bytes | str) -> _Array:
    return _Array()


def _frombuffer(content: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.fill(content, dtype, shape, order)
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(f"it holds bytes encoded as {encoding!r}, expected 'latin1'")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""  # which Python 3 writes for Python 2 as a call of bytes without arguments


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise DataError(f"it asks for {module}.{name}, which no array needs; nothing of it was run")
        return _STAND_INS[module, name]


def load_array_pickle(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays, numbers, text and lists, and nothing else.

    Parameters
    ----------
    path : Path
        A file written by any version of Python and NumPy.

    Returns
    -------
    dict
        What was pickled. Keys are text, also where Python 2 had written bytes.

    Raises
    ------
    DataError
        If the pickle names anything that arrays do not need, is damaged, or is no dictionary.
    """
    with path.open("rb") as file:
        try:
            content = _ArrayUnpickler(file, encoding="bytes").load()
        except DataError as error:
            raise DataError(f"{path}: expected a pickle of arrays, but {error}") from None
        except Exception as error:  # noqa: BLE001 - damaged bytes can make any instruction of a pickle fail
            raise DataError(
                f"{path}: expected a pickle of arrays, got damaged data ({type(error).__name__}: {error})"
            ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a pickled dictionary, got a {type(content).__name__}")
    return {
        key.decode("latin-1") if isinstance(key, bytes) else str(key): (
            value.array if isinstance(value, _Array) else value
        )
        for key, value in content.items()
    }
