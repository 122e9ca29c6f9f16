"""Read a pickled dictionary of NumPy arrays without running what the pickle says.

A pickle is a program for a small machine with a stack: it may name any function of any module and have it
called, `os.system` included. The python version of CIFAR-10 is a set of pickles. Here they run on a machine
of our own, which has the instructions that plain data and arrays need and no other. What it calls are
stand-ins written below and not NumPy's functions: a pickle can hand NumPy a description of an array that does
not fit its memory. A pickle that executes nothing can still ask for more memory or time than there is, so its
size, the number of its instructions and what may be a key are bounded as well.

An array is pickled as a call and a state. The call makes an empty array, the state fills it:

    numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b")
    state: (version, shape, dtype, whether columns come first, bytes)

NumPy 2 calls the module `numpy._core`; protocol 5 makes the array in one call, `_frombuffer`; Python 3
writes bytes for Python 2 as `_codecs.encode(text, "latin1")`. `pickletools` in the standard library describes
every instruction.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import DataError

LARGEST = 2**26  # bytes; a batch of CIFAR-10 has 31 million
MOST_INSTRUCTIONS = 2**18  # a batch of CIFAR-10 has some fifty thousand


class _Dtype:
    """Stands in for numpy.dtype: plain numbers only."""

    def __init__(self, code: bytes | str, align: bool = False, copy: bool = False) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if re.fullmatch(r"[|<>=]?(b1|[iu][1248]|f[248])", text) is None:
            raise DataError(f"it holds an array of dtype {text[:20]}, expected plain numbers")
        self.dtype = np.dtype(text)

    def set_state(self, state: tuple[Any, ...]) -> None:
        byte_order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(">" if byte_order == ">" else "<")


class _Array:
    """Stands in for numpy.ndarray: `array` is None until the state has come."""

    def __init__(self) -> None:
        self.array: np.ndarray[Any, Any] | None = None

    def set_state(self, state: tuple[Any, ...]) -> None:
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
        raise DataError(f"it holds bytes encoded as {encoding[:20]!r}, expected 'latin1'")
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


def _find(module: str, name: str) -> Any:
    if (module, name) not in _STAND_INS:
        raise DataError(f"it asks for {module[:60]}.{name[:60]}, which no array needs; nothing of it was run")
    return _STAND_INS[module, name]


class _Machine:
    """What runs the instructions of a pickle.

    `stack` holds the values of the innermost open bracket, `outer` those outside it. `encoded` counts the
    bytes that were made from text: one text could be asked for a million times.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0

    def close_bracket(self) -> list[Any]:
        values, self.stack = self.stack, self.outer.pop()
        return values

    def take(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise IndexError("an instruction lacks its values")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def call(self) -> None:
        function, arguments = self.take(2)
        if function is _encode:
            self.encoded += len(arguments[0])
            if self.encoded > LARGEST:
                raise DataError(f"it makes more than {LARGEST:,} bytes of text")
        if not any(function is stand_in for stand_in in _STAND_INS.values()):
            raise DataError("it calls something that is no function")
        self.push(function(*arguments))

    def build(self) -> None:
        (state,) = self.take(1)
        if not isinstance(self.stack[-1], _Array | _Dtype):
            raise DataError("it changes something that is no array")
        self.stack[-1].set_state(state)

    def add_items(self, keys_and_values: list[Any]) -> None:
        for key, value in zip(keys_and_values[::2], keys_and_values[1::2], strict=True):
            if not isinstance(key, str | bytes):  # the hash of nested tuples can take for ever
                raise DataError(f"it has a {type(key).__name__} as a key, expected text")
            self._container(dict)[key] = value

    def make_dictionary(self) -> None:
        keys_and_values = self.close_bracket()
        self.push({})
        self.add_items(keys_and_values)

    def add_elements(self, values: list[Any]) -> None:
        self._container(list).extend(values)

    def _container(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise DataError(f"it adds to something that is no {kind.__name__}")
        return self.stack[-1]

    def open_bracket(self) -> None:
        self.outer.append(self.stack)
        self.stack = []


def _text(argument: str) -> bytes:
    return argument.encode("latin-1")  # Python 2's text is bytes; pickletools decodes it like this


_CONSTANTS = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
)  # fmt: skip

# By the names that pickletools gives them; each takes the machine and the instruction's argument.
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, argument: None),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(_CONSTANTS, lambda machine, argument: machine.push(argument)),
    **dict.fromkeys(
        ("STRING", "BINSTRING", "SHORT_BINSTRING"), lambda machine, argument: machine.push(_text(argument))
    ),
    "MARK": lambda machine, _: machine.open_bracket(),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "LIST": lambda machine, _: machine.push(machine.close_bracket()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.close_bracket())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "DICT": lambda machine, _: machine.make_dictionary(),
    "SETITEM": lambda machine, _: machine.add_items(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.add_items(machine.close_bracket()),
    "APPEND": lambda machine, _: machine.add_elements(machine.take(1)),
    "APPENDS": lambda machine, _: machine.add_elements(machine.close_bracket()),
    **dict.fromkeys(
        ("PUT", "BINPUT", "LONG_BINPUT"),
        lambda machine, number: machine.memo.update({number: machine.stack[-1]}),
    ),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda machine, number: machine.push(machine.memo[number])
    ),
    "GLOBAL": lambda machine, name: machine.push(_find(*name.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.push(_find(*machine.take(2))),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}


def _run(content: bytes) -> Any:
    machine = _Machine()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(content)):
        if instruction.name == "STOP":
            return machine.stack[-1]
        if instruction.name not in _INSTRUCTIONS:
            raise DataError(f"it uses the instruction {instruction.name}, which no array needs")
        if count >= MOST_INSTRUCTIONS:
            raise DataError(f"it has more than {MOST_INSTRUCTIONS:,} instructions")
        _INSTRUCTIONS[instruction.name](machine, argument)
    raise EOFError("it has no end")


def load_array_pickle(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays, numbers, text and lists, and nothing else.

    Parameters
    ----------
    path : Path
        A file written by any version of Python and NumPy, of at most 64 MiB.

    Returns
    -------
    dict
        What was pickled. Keys are text, also where Python 2 had written bytes.

    Raises
    ------
    DataError
        If the pickle names anything that arrays do not need, is damaged, too large or too long, or is no
        dictionary.
    """
    with path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise DataError(f"{path}: expected a pickle of at most {LARGEST:,} bytes, got more")
    try:
        content = _run(raw)
    except DataError as error:
        raise DataError(f"{path}: expected a pickle of arrays, but {error}") from None
    except Exception as error:  # noqa: BLE001 - damaged bytes can make any instruction of a pickle fail
        what = f"{type(error).__name__}: {str(error)[:200]}"
        raise DataError(f"{path}: expected a pickle of arrays, got damaged data ({what})") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a pickled dictionary, got a {type(content).__name__}")
    return {
        key.decode("latin-1") if isinstance(key, bytes) else key: (
            value.array if isinstance(value, _Array) else value
        )
        for key, value in content.items()
    }
