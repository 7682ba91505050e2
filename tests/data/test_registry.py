"""Data sets by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from minivit.data import DataError, fetch, list_datasets, load
from minivit.data.registry import data_root


def test_names():
    assert list_datasets() == ["cifar100", "digits", "imagefolder", "shapes", "shards"]
    with pytest.raises(ValueError, match=r"name='cifar10' .*did you mean 'cifar100'.*imagefolder, shapes, shards"):
        load("cifar10")
    with pytest.raises(ValueError, match="name='digit'"):
        fetch("digit")


@pytest.mark.parametrize(("name", "options", "message"), [
    ("digits", {"size": 3}, r"size=3 is not an option of digits; allowed: none"),
    ("shapes", {"sise": 3}, r"sise=3 .*did you mean 'size'.*train_images, test_images, size, seed"),
    ("shapes", {"size": "3"}, r"size='3'"),
    ("cifar100", {"labels": "both"}, r"labels='both'.*'fine' or 'coarse'"),
    ("imagefolder", {"image_size": 3.5}, r"image_size=3\.5"),
])
def test_bad_options(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        load(name, tmp_path, **options)


def test_root(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "named"))
    assert data_root() == tmp_path / "named" and data_root(tmp_path) == tmp_path
    with pytest.raises(DataError, match="named"):
        load("cifar100")
    monkeypatch.delenv("MINIVIT_DATA")
    assert data_root() == Path.home() / ".cache" / "minivit"
    assert data_root("~/data") == Path.home() / "data"
    for value, folder in (("", Path.home() / ".cache" / "minivit"), ("~/data", Path.home() / "data")):
        monkeypatch.setenv("MINIVIT_DATA", value)
        assert data_root() == folder


@pytest.mark.parametrize("root", ["~nobody of this name/data", 5, b"bytes"])
def test_a_root_that_is_no_path(root):
    with pytest.raises(ValueError, match=r"root=.* is not allowed: use the path of a file or folder"):
        load("imagefolder", root)


def test_fetching_into_what_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=rf"file is a file: name a folder .* such as {tmp_path}$"):
        fetch("cifar100", tmp_path / "file")
    with pytest.raises(DataError, match="cannot be written: Not a directory; choose another folder with --data$"):
        fetch("cifar100", tmp_path / "file" / "below")
    with pytest.raises(DataError, match="cannot be (read|written): File name too long; choose another folder"):
        fetch("cifar100", tmp_path / ("a" * 300))


@pytest.mark.parametrize("name", ["digits", "shapes", "imagefolder", "shards"])
def test_fetch_of_what_needs_no_fetching(name, tmp_path, capsys):
    assert fetch(name, tmp_path) == tmp_path
    assert f"{name}: nothing to fetch" in capsys.readouterr().out


def test_import_is_light():
    """The optional libraries are imported when they are used."""
    code = ("import sys, minivit.data; "
            "print({'sklearn', 'PIL', 'matplotlib', 'torchvision'} & {name.split('.')[0] for name in sys.modules})")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
