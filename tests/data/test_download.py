"""Downloads: whole and checked, or not there at all."""

import errno
import hashlib
import importlib

import numpy as np
import pytest

from minivit.data import DataError
from minivit.data.download import download

module = importlib.import_module("minivit.data.download")
CONTENT = np.random.default_rng(1).bytes(1_000_003)
MD5 = hashlib.md5(CONTENT).hexdigest()
DEAD = "http://127.0.0.1:9/file.bin"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder" / "file.bin"


def part_of(path, content):
    path.parent.mkdir(parents=True)
    part = path.with_name("file.bin.part")
    part.write_bytes(content)
    return part


def check(path):
    assert path.read_bytes() == CONTENT
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_download(serve, path):
    source = serve(CONTENT)
    assert download(source.url, path, md5=MD5, sha256=hashlib.sha256(CONTENT).hexdigest()) == path
    check(path)
    download([DEAD], path, md5=MD5)   # it is there: nothing is asked of the source
    assert source.requests == [None]


def test_download_resumes(serve, path):
    source = serve(CONTENT)
    part_of(path, CONTENT[:400_009])
    download([source.url], path, md5=MD5)
    check(path)
    assert source.requests == ["bytes=400009-"]


def test_download_resumes_when_nothing_is_missing(serve, path):
    part_of(path, CONTENT)
    download([serve(CONTENT).url], path, md5=MD5)
    check(path)


def test_download_from_a_server_without_ranges(serve, path):
    part_of(path, CONTENT[:400_009])
    download([serve(CONTENT, ranges=False).url], path, md5=MD5)
    check(path)


@pytest.mark.parametrize("stale", [b"stale" * 1001, b"stale" * 400_000], ids=["shorter", "longer"])
def test_download_drops_a_stale_part(serve, path, stale):
    part_of(path, stale)
    download([serve(CONTENT).url], path, md5=MD5)
    check(path)


def test_download_without_checksum_begins_afresh(serve, path):
    source = serve(CONTENT)
    part_of(path, b"stale")
    download(source.url, path)
    check(path)
    assert source.requests == [None]


def test_download_goes_from_source_to_source(serve, path):
    """A dead source, one without the file, one with another file, one that breaks off, one that finishes the job."""
    missing, wrong, broken, good = serve(status=404), serve(b"sorry" * 99), serve(CONTENT, cut=300_007), serve(CONTENT)
    download([DEAD, missing.url, wrong.url, broken.url, good.url], path, md5=MD5)
    check(path)
    assert good.requests == ["bytes=300007-"]


def test_download_names_each_source_and_its_failure(serve, path):
    urls = [serve(status=503).url, serve(b"sorry").url, serve(CONTENT, cut=300_007).url]
    with pytest.raises(DataError) as failure:
        download(urls, path, md5=MD5)
    first, second, third = (line for line in str(failure.value).splitlines() if line.startswith("  "))
    assert urls[0] in first and "HTTP 503" in first
    assert urls[1] in second and hashlib.md5(b"sorry").hexdigest() in second
    assert urls[2] in third and "300007 of 1000003 bytes" in third
    assert not path.exists()
    assert path.with_name("file.bin.part").stat().st_size == 300_007   # for the next time


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:9/", "http://[bad/"])
def test_download_from_an_impossible_address(path, url):
    with pytest.raises(DataError, match="file.bin could not be downloaded"):
        download([url], path, md5=MD5)


def test_download_prefers_a_faster_source_but_ends_with_a_slow_one(serve, path, monkeypatch):
    monkeypatch.setattr(module, "RATE_WINDOW_S", 0)
    monkeypatch.setattr(module, "SLOW_BYTES_PER_S", float("inf"))
    first, second = serve(CONTENT), serve(CONTENT)
    download([first.url, second.url], path, md5=MD5)
    check(path)
    assert len(first.requests) == 2 and len(second.requests) == 1


def test_download_keeps_what_came_before_an_interrupt(serve, path, monkeypatch):
    source, write = serve(CONTENT), module._write

    def interrupt(file, chunk):
        write(file, chunk)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download([source.url], path, md5=MD5)
    kept = path.with_name("file.bin.part").read_bytes()
    assert kept and CONTENT.startswith(kept) and not path.exists()
    download([source.url], path, md5=MD5)
    check(path)
    assert source.requests == [None, f"bytes={len(kept)}-"]


def test_download_on_a_full_disk_asks_no_other_source(serve, path, monkeypatch):
    def full(file, chunk):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    first, second = serve(CONTENT), serve(CONTENT)
    with pytest.raises(DataError, match=r"file\.bin\.part cannot be written: No space left on device"):
        download([first.url, second.url], path, md5=MD5)
    assert not second.requests


def test_download_into_a_folder_that_cannot_be(serve, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"file\.bin cannot be written"):
        download([serve(CONTENT).url], tmp_path / "file" / "file.bin", md5=MD5)


def test_download_leaves_another_file_alone(serve, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match="delete it to fetch it again"):
        download([serve(CONTENT).url], path, md5=MD5)
    assert path.read_bytes() == b"mine"


def test_download_needs_a_source(path):
    with pytest.raises(ValueError, match="urls"):
        download([], path)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert download([], path, md5=MD5) == path   # but not for what is there


def test_download_of_one_source_fails_in_one_line(serve, path):
    for url, reason in ((DEAD, "refused"), (serve(status=404).url, "HTTP 404"), (serve(b"sorry").url, "md5 is")):
        with pytest.raises(DataError) as failure:
            download(url, path, md5=MD5)
        assert str(failure.value).startswith(f"file.bin could not be downloaded from {url}: ")
        assert reason in str(failure.value) and "\n" not in str(failure.value)


def test_download_says_how_another_folder_is_chosen(serve, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="choose another folder with MINIVIT_ELSEWHERE"):
        download(serve(CONTENT).url, tmp_path / "file" / "file.bin", md5=MD5, elsewhere="MINIVIT_ELSEWHERE")


def test_download_that_another_process_has_finished(serve, path, monkeypatch):
    receive = module._receive

    def receive_twice(url, part, *rest):
        resumed = receive(url, part, *rest)
        part.rename(path)
        return resumed

    monkeypatch.setattr(module, "_receive", receive_twice)
    assert download(serve(CONTENT).url, path, md5=MD5) == path
    check(path)
