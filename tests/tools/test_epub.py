"""The EPUB: well-formed pages, in order, with their images and formulas."""

import base64
import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest
from PIL import Image

from tools.epub import for_epub, mathml, with_mathml_declared
from tools.paths import ROOT

OPF = "{http://www.idpf.org/2007/opf}"
CONF = """\
extensions = ["tools.epub"]
html_math_renderer = "mathml"
html_baseurl = "https://example.org/"
version = copyright = "1"
epub_basename = "book"
"""


def test_a_formula_keeps_its_tex_for_readers_that_cannot_show_it():
    formula = ElementTree.fromstring(mathml(r"a \begin{aligned} x &= 1 \\ y &< 2 \end{aligned}", "block"))
    assert formula.get("display") == "block" and "aligned" in formula.get("alttext")
    assert formula.findall(".//{*}mtr")


def test_a_command_that_the_converter_does_not_know_is_an_error():
    with pytest.raises(ValueError, match="noSuchCommand"):
        mathml(r"\noSuchCommand x", "inline")


def test_settings_leave_out_what_only_works_in_a_browser():
    book = {"title": "Book", "author": "A", "sphinx": {"config": {"extensions": ["myst_nb", "tools.search"],
                                                                  "html_theme_options": {}}}}
    config = for_epub(book)["sphinx"]["config"]
    assert config["extensions"] == ["myst_nb", "tools.epub"] and "html_theme_options" not in config
    assert book["sphinx"]["config"]["extensions"] == ["myst_nb", "tools.search"]


def test_an_epub_opens_and_is_complete(tmp_path):
    frame = io.BytesIO()
    Image.new("RGB", (4, 4)).save(frame, format="WEBP")
    data = base64.b64encode(frame.getvalue()).decode()
    (tmp_path / "conf.py").write_text(CONF, encoding="utf-8")
    (tmp_path / "index.rst").write_text("One\n===\n\n.. toctree::\n\n   part/two\n", encoding="utf-8")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "two.rst").write_text(
        "Two\n===\n\n.. math:: x = 1 \\tag{7}\n\n.. raw:: html\n\n"
        f'   <details><summary>Show the answer</summary><img alt="a" src="data:image/webp;base64,{data}"></details>\n',
        encoding="utf-8")
    build = [sys.executable, "-m", "sphinx", "-q", "-b", "epub", str(tmp_path), str(tmp_path / "out")]
    subprocess.run(build, cwd=ROOT, check=True)
    with_mathml_declared(tmp_path / "out" / "book.epub", tmp_path / "book.epub")
    with zipfile.ZipFile(tmp_path / "book.epub") as book:
        first = book.infolist()[0]
        assert (first.filename, first.compress_type, book.read(first)) == (
            "mimetype", zipfile.ZIP_STORED, b"application/epub+zip")
        package = ElementTree.fromstring(book.read("content.opf"))
        items = {item.get("id"): item for item in package.iter(f"{OPF}item")}
        assert {item.get("href") for item in items.values()} <= set(book.namelist())
        spine = [items[entry.get("idref")].get("href") for entry in package.iter(f"{OPF}itemref")]
        assert {"index.xhtml", "part/two.xhtml"} <= set(spine)
        two = next(item for item in items.values() if item.get("href") == "part/two.xhtml")
        assert two.get("properties") == "mathml"
        page = ElementTree.fromstring(book.read("part/two.xhtml"))
        (image,) = page.findall(".//{*}img")
        assert image.get("src").removeprefix("../") in book.namelist() and image.get("src").endswith(".png")
        assert page.find(".//{*}math") is not None and page.find(".//{*}span[@class='eqno']").text == "(7)"
        assert page.find(".//{*}details") is None
