"""Tiny CIFAR-100 archives in the official layout."""

import io
import pickle
import struct
import tarfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch


def python2_pickle(value):
    """Pickle as Python 2 did, protocol 2: text and array data as byte strings, NumPy's modules by their old names."""

    def write(value):
        match value:
            case dict():
                return b"}(" + b"".join(write(key) + write(item) for key, item in value.items()) + b"u"
            case list():
                return b"](" + b"".join(map(write, value)) + b"e"
            case int():
                return b"J" + struct.pack("<i", value)
            case str():
                return b"T" + struct.pack("<i", len(value)) + value.encode("latin1")
            case np.ndarray():
                dtype = (b"cnumpy\ndtype\n" + write(value.dtype.str[1:]) + b"K\x00K\x01\x87R"
                         + b"(K\x03" + write(value.dtype.str[0]) + b"NNN" + write(-1) + write(-1) + b"K\x00tb")
                return (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + write("b") + b"\x87R"
                        + b"(K\x01(" + b"".join(map(write, value.shape)) + b"t" + dtype + b"\x89"
                        + write(value.tobytes().decode("latin1")) + b"tb")

    return b"\x80\x02" + write(value) + b"."


@pytest.fixture
def cifar_content():
    """Content of the three files, with 13 training and 7 test images."""
    rng = np.random.default_rng(0)

    def split(n):
        return {"filenames": [f"{i}.png" for i in range(n)], "batch_label": "batch 1 of 1",
                "fine_labels": rng.integers(100, size=n).tolist(), "coarse_labels": rng.integers(20, size=n).tolist(),
                "data": rng.integers(256, size=(n, 3072), dtype=np.uint8)}

    return {"train": split(13), "test": split(7),
            "meta": {"fine_label_names": [f"fine {i}" for i in range(100)],
                     "coarse_label_names": [f"coarse {i}" for i in range(20)]}}


@pytest.fixture
def write_cifar(tmp_path):
    """A function that writes the content as an archive or a folder and returns the root."""

    def write(content, *, protocol=4, packed=True):
        dump = python2_pickle if protocol == "python2" else lambda value: pickle.dumps(value, protocol)
        files = {name: value if isinstance(value, bytes) else dump(value) for name, value in content.items()}
        if not packed:
            (tmp_path / "cifar-100-python").mkdir()
            for name, data in files.items():
                (tmp_path / "cifar-100-python" / name).write_bytes(data)
            return tmp_path
        with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as tar:
            for name, data in {"file.txt~": b""}.items() | files.items():
                member = tarfile.TarInfo(f"cifar-100-python/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return tmp_path

    return write


@pytest.fixture
def waiting_is_an_error():
    """A context in which a call that waits for a CUDA device fails."""

    @contextmanager
    def context():
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return context
