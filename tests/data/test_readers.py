"""Images decoded by other processes: the same pixels, the same errors, and no process is left."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from minivit.data import DataError, load
from minivit.data.readers import start_readers
from minivit.data.shard_writer import write_shards
from tests.folders import write_images


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for paths in write_images(tmp_path / "data", {"train": 102, "val": 102}, "é {i}.jpg").values():
        paths[-1].write_bytes(b"")
    return tmp_path / "data"


@pytest.fixture
def readers(monkeypatch):
    monkeypatch.setenv("MINIVIT_READERS", "2")
    start_readers.cache_clear()
    yield start_readers(2)
    start_readers(2).close()
    start_readers.cache_clear()


def test_they_read_what_threads_read(root, readers, monkeypatch, tmp_path):
    write_shards(root, tmp_path / "shards", size_mb=0.02)
    data = [load("imagefolder", root, image_size=8), load("shards", tmp_path / "shards", image_size=8)]
    assert all(each.train.images.workers == 2 for each in data)
    rows, keys = torch.arange(102), torch.arange(102) + 7

    def read():
        for each in data:   # one reader serves both, in turns
            images = each.train.images.randomly_cropped(0.1)
            yield from images.take(rows, keys)
            yield from (centres := images.take(rows))
            assert len(centres[1]) == 101 and torch.equal(images[centres[1]], centres[0])
            (error,) = images.broken.errors.values()
            assert "é 101" in error and ("member" in error) == (each.name == "shards")
            images.broken.errors.clear()

    apart = list(read())
    monkeypatch.delenv("MINIVIT_READERS")
    assert all(torch.equal(one, two) for one, two in zip(apart, read(), strict=True))


def test_one_that_ends_is_reported(root, readers):
    images = load("imagefolder", root, image_size=8).train.images
    images.take(torch.arange(5))
    for reader in readers.all:
        reader.process.kill()
        reader.process.wait()
    with pytest.raises(DataError, match="decodes images ended with status -9; .*smaller MINIVIT_READERS"):
        images.take(torch.arange(5))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_they_end_with_the_process_that_started_them():
    code = ("import time; from minivit.data.readers import start_readers; "
            "print(*(reader.process.pid for reader in start_readers(2).all), flush=True); time.sleep(60)")
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, encoding="utf-8")
    children = [int(word) for word in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 30
    while any(is_running(child) for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(is_running(child) for child in children)


def is_running(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:   # a zombie has ended
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("count", ["many", "-1", "1.5"])
def test_a_number_that_is_none_is_an_error(root, monkeypatch, count):
    monkeypatch.setenv("MINIVIT_READERS", count)
    with pytest.raises(ValueError, match=f"MINIVIT_READERS='{count}' must be a number of processes"):
        load("imagefolder", root)
