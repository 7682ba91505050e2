import os

import pytest

from minivit import files
from minivit.files import read_names, shipped, user_path, write_whole


def test_what_is_shipped_is_found_inside_an_installed_package_and_beside_a_cloned_one(tmp_path, monkeypatch):
    package = tmp_path / "minivit"
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    assert shipped("results") == tmp_path / "results"
    (package / "results").mkdir(parents=True)
    assert shipped("results") == package / "results"


@pytest.mark.parametrize("content", [b"bee\n\n cat \n", b"\xef\xbb\xbfbee\r\ncat\r\n", b"bee\ncat"])
def test_names_are_lines_of_any_system(tmp_path, content):
    (tmp_path / "names.txt").write_bytes(content)
    assert read_names(tmp_path / "names.txt") == ["bee", "cat"]


@pytest.mark.parametrize("path", ["~nobody of this name/data", 5, None, b"bytes", ""])
def test_what_is_no_path_is_named(path):
    with pytest.raises(ValueError, match="out=.* is not allowed: use the path of a file or folder"):
        user_path(path, "out")


def test_the_users_home_may_be_written_as_a_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/runs") == tmp_path / "runs" and user_path("runs/~") == files.Path("runs/~")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, error, step):
    path = tmp_path / "file"
    write_whole(path, lambda part: part.write_text("whole"))

    def fail(*_):
        raise error

    def write(part):
        part.write_text("half")
        if step == "write":
            fail()

    if step != "write":
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(error):
        write_whole(path, write)
    assert path.read_text() == "whole" and [*tmp_path.iterdir()] == [path]
