"""Archives say what they are, and hold one folder."""

import zipfile

import nbformat

from tools import offline
from tools.notebooks import notebook_paths
from tools.paths import ROOT
from tools.version import version


def test_an_archive_has_one_folder_and_is_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        offline.pack(tmp_path / name / "book.zip", iter([("a/b.txt", b"b")]), "About.")
    assert (tmp_path / "one" / "book.zip").read_bytes() == (tmp_path / "two" / "book.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one" / "book.zip") as archive:
        assert archive.namelist() == ["book/ABOUT.txt", "book/a/b.txt"]


def test_the_pages_are_packed_without_what_only_a_server_needs(tmp_path, monkeypatch):
    html = tmp_path / "html"
    for name in ("index.html", "404.html", "_static/book.css", "_sources/intro.md", "lite/index.html"):
        (html / name).parent.mkdir(parents=True, exist_ok=True)
        (html / name).write_bytes(b"")
    monkeypatch.setattr(offline, "BUILD", tmp_path)
    assert [name for name, _ in offline.pages()] == ["_static/book.css", "index.html"]


def test_every_notebook_is_packed_with_its_outputs():
    packed = dict(offline.notebooks())
    assert len(packed) == len(notebook_paths(ROOT))
    for content in packed.values():
        notebook = nbformat.reads(content.decode(), as_version=4)
        assert any(cell.get("outputs") for cell in notebook.cells)


def test_unbuilt_pages_are_not_packed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(offline, "BUILD", tmp_path)
    monkeypatch.setattr("sys.argv", ["offline", "html"])
    assert offline.main() == 1 and "run make book" in capsys.readouterr().err


def test_what_is_packed_says_its_version():
    assert f"Version {version()}" in offline.ABOUT.format(version=version(), date="", how=offline.HOW["html"])
