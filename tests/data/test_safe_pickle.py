"""The restricted unpickler: arrays and plain values come through, everything else is refused by name."""

import io
import os
import pickle
import pickletools

import numpy as np
import pytest

from minivit.data import DataError
from minivit.data.safe_pickle import load_safely


def load(data):
    return load_safely(io.BytesIO(data), "some/file")


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ARRAYS = {
    "bytes": np.arange(15, dtype=np.uint8).reshape(3, 5),
    "fortran": np.asfortranarray(np.arange(15.0).reshape(3, 5)),
    "big endian": np.arange(7, dtype=">i4"),
    "bool": np.array([True, False, True]),
    "half": np.linspace(0, 1, 11, dtype=np.float16),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_through(protocol, name):
    loaded = load(pickle.dumps({"data": ARRAYS[name]}, protocol))["data"]
    assert loaded.dtype == ARRAYS[name].dtype and loaded.flags.writeable
    np.testing.assert_array_equal(loaded, ARRAYS[name])


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_through(protocol):
    values = {"list": [1, -2, 3.5, None, True], "text": "añb", "bytes": b"\x00\xff", "tuple": (1, ("a", {"b": []}))}
    assert load(pickle.dumps(values, protocol)) == values


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(("function", "arguments", "refused"), [
    (os.system, ("touch {mark}",), "system"),
    (eval, ("open({mark!r}, 'w')",), "eval"),
    (open, ("{mark}", "w"), "open"),
    (getattr, ("text", "upper"), "getattr"),
    (np.load, ("{mark}",), "load"),
    (np.dtype, ("O",), "dtype 'O'"),
    (np.dtype, ("V8",), "dtype 'V8'"),
    (np.ndarray, ((3,),), r"numpy\.ndarray"),
])
def test_everything_else_is_refused(tmp_path, protocol, function, arguments, refused):
    mark = str(tmp_path / "mark")
    filled = [argument.format(mark=mark) if isinstance(argument, str) else argument for argument in arguments]
    with pytest.raises(DataError, match=f"some/file holds .*{refused}"):
        load(pickle.dumps({"data": Calls(function, *filled)}, protocol))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("array", [
    np.array([{}, []], dtype=object),
    np.array(["a", "b"]),
    np.zeros(3, dtype=[("a", "u1"), ("b", "O")]),
    np.zeros(3, dtype="M8[s]"),
], ids=["object", "text", "structured", "time"])
def test_arrays_of_anything_but_numbers_are_refused(protocol, array):
    with pytest.raises(DataError, match="some/file holds an array of"):
        load(pickle.dumps({"data": array}, protocol))


class DtypeWithState:
    """A dtype of bytes that is given a state."""

    def __init__(self, *state):
        self.state = state

    def __reduce__(self):
        return np.dtype, ("u1", False, True), self.state


@pytest.mark.parametrize("state", [
    (3, "|", None, ("a",), {"a": 0}, 8, 8, 63),
    (3, "|", None, None, {"a": 0}, 8, 8, 63),
    (3, "|", ("u1", (2,)), None, None, 8, 8, 63),
], ids=["names", "fields", "subarray"])
def test_a_dtype_whose_state_is_another_is_refused(state):
    """NumPy itself would take size, fields and flags from the file, and read the file's bytes as pointers."""
    with pytest.raises(DataError, match="some/file holds an array of a structured dtype"):
        load(pickle.dumps({"data": DtypeWithState(*state)}, 2))


RECONSTRUCT, DTYPE = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n"
DEFAULTS = b"X\x0c\x00\x00\x00__defaults__"


@pytest.mark.parametrize("data", [
    RECONSTRUCT + b"}" + DEFAULTS + b")sb",                      # a state: attributes
    RECONSTRUCT + b"N}" + DEFAULTS + b")s\x86b",                 # a state: slots
    DTYPE + b"N}" + DEFAULTS + b")s\x86b",
    DTYPE + b"X\x02\x00\x00\x00u1\x85\x81",                     # an instance, past the call
    b"\x8c\x15numpy.core.multiarray\x8c\x15_reconstruct.__code__\x93",
    b"c__builtin__\neval\n",
    b"cminivit.data.safe_pickle\nnp\n",
], ids=["attributes", "slots", "class slots", "instance", "dotted name", "python2", "own module"])
def test_a_function_can_only_be_called(data):
    """Whatever else is done with it is refused, even where the dictionary that follows holds nothing of it."""
    whole = b"\x80\x04" + data + b"0}."
    pickletools.dis(whole, out=io.StringIO())   # a pickle it is
    with pytest.raises(DataError, match="some/file"):
        load(whole)


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x04K\x01.", pickle.dumps([1, 2])],
                         ids=["empty", "text", "number", "list"])
def test_what_is_no_dictionary_is_refused(data):
    with pytest.raises(DataError, match="some/file"):
        load(data)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_truncated_pickle_is_told(protocol):
    whole = pickle.dumps({"data": np.zeros((3, 3072), np.uint8), "labels": [1, 2, 3]}, protocol)
    for length in (1, 20, len(whole) // 2, len(whole) - 1):
        with pytest.raises(DataError, match="some/file is damaged"):
            load(whole[:length])


def test_an_array_of_the_wrong_size_is_told():
    whole = pickle.dumps({"data": np.zeros((3, 5), np.uint8)}, 2)
    with pytest.raises(DataError, match="some/file is damaged"):
        load(whole.replace(b"K\x03K\x05", b"K\x03K\x07"))
