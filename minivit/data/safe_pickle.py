"""Read a pickle that holds NumPy arrays and plain values, and refuse one that holds anything else.

A pickle is a program: loading one may call any function it names. Here names are looked up in the table below, not in
Python's modules, and none of the entries is NumPy's own. NumPy's types would take their state from the file, and a
dtype whose state lies about holding objects would turn bytes of the file into pointers. The stand-ins only record
dtype, shape and bytes; arrays are made from these afterwards.
"""

import pickle
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minivit.data.dataset import DataError


def load_safely(stream: BinaryIO, source: str | Path) -> dict[str, Any]:
    """Read a pickled dictionary of NumPy arrays and plain values.

    Parameters
    ----------
    stream
        The pickle, protocol 0 to 5, written by Python 2 or 3.
    source
        Name of the file in error messages.

    Returns
    -------
    dict
        Keys as ``str``. Byte strings inside values stay ``bytes``.

    Raises
    ------
    DataError
        If the pickle names anything but the parts of a numeric NumPy array, is damaged, or is not a dictionary.
    """
    try:
        # Python 2 wrote array data as str, which survive when read as bytes.
        content = _Unpickler(stream, encoding="bytes").load()
        if not isinstance(content, dict):
            raise _RefusedError(f"a {type(content).__name__} where a dictionary is expected")
        return {_text(key): value.array() if isinstance(value, _Array) else value for key, value in content.items()}
    except _RefusedError as refusal:
        raise DataError(f"{source} holds {refusal}: refused, since data need nothing of the kind") from None
    except Exception as error:   # a damaged pickle can fail anywhere, with any exception
        raise DataError(f"{source} is damaged ({type(error).__name__}: {error})") from None


class _RefusedError(Exception):
    """The pickle asks for something that is neither an array nor a plain value."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _Function(ALLOWED[module, name])
        except KeyError:
            raise _RefusedError(f"the name {module}.{name}") from None


class _Function:
    """A function that the pickle may call and do nothing else with: none of its attributes can be set."""

    __slots__ = ("_call",)

    def __init__(self, call):
        self._call = call

    def __call__(self, *arguments):
        return self._call(*arguments)

    def __setstate__(self, state):
        raise _RefusedError("an attempt to change a function")


class _Dtype:
    """Stands in for a NumPy dtype: a kind of number, its size and its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: bytes | str, align: object = False, copy: object = False):
        self.code, self.order = _text(code), "<"
        if not re.fullmatch(r"[<>|]?[biuf][1248]", self.code):
            raise _RefusedError(f"an array of dtype {self.code!r}")

    def __setstate__(self, state: tuple):
        if any(part is not None for part in state[2:5]):   # the parts of a structured dtype
            raise _RefusedError("an array of a structured dtype")
        self.order = _text(state[1])

    def numpy(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """Stands in for a NumPy array: its shape, dtype and bytes."""

    __slots__ = ("shape", "dtype", "fortran", "data")

    def __init__(self, shape: tuple = (0,), dtype: _Dtype | None = None, data: bytes | str = b"",
                 fortran: bool = False):
        self.__setstate__((1, shape, dtype, fortran, data))

    def __setstate__(self, state: tuple):
        _, self.shape, self.dtype, self.fortran, self.data = state

    def array(self) -> np.ndarray:
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        flat = np.frombuffer(data, self.dtype.numpy()).copy()   # a copy, because bytes cannot be written to
        return flat.reshape(self.shape, order="F" if self.fortran else "C")


def _reconstruct(subtype: object, shape: object, typecode: object) -> _Array:
    """Return an empty array, to which the pickle then gives a state (protocols 0 to 4)."""
    return _Array()


def _frombuffer(data: bytes | bytearray, dtype: _Dtype, shape: tuple, order: str) -> _Array:
    """Return a complete array (protocol 5)."""
    return _Array(shape, dtype, data, order == "F")


def _encode(text: str, encoding: str) -> bytes:
    """Return bytes, which Python 3 writes this way in pickles of protocol 2 or less."""
    if encoding != "latin1":
        raise _RefusedError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_call(*arguments: object) -> None:
    raise _RefusedError("a direct call of numpy.ndarray")


def _text(value: bytes | str) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


ALLOWED = {("numpy", "dtype"): _Dtype, ("numpy", "ndarray"): _no_call, ("_codecs", "encode"): _encode}
for _core in ("numpy.core", "numpy._core"):   # the name before and since NumPy 2
    ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    ALLOWED[f"{_core}.numeric", "_frombuffer"] = _frombuffer
