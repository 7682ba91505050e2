"""The EPUB: well-formed pages, in order, with their images and formulas."""

import base64
import io
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest
from PIL import Image

from minivit.figures.live import live_figure
from tools.browsers import find_browser
from tools.epub import RELATIONS, divided, finish, for_epub, in_lines, mathml
from tools.paths import ROOT

OPF = "{http://www.idpf.org/2007/opf}"
def test_a_formula_keeps_its_tex_for_readers_that_cannot_show_it():
    formula = ElementTree.fromstring(mathml(r"a \begin{aligned} x &= 1 \\ y &< 2 \end{aligned}", "block"))
    assert formula.get("display") == "block" and "aligned" in formula.get("alttext")
    assert formula.findall(".//{*}mtr")


def test_a_formula_is_divided_before_its_relations_and_in_no_bracket():
    assert divided(r"a_{i=1} = b(c<2) \le \left[ x = 2 \right) = 3", RELATIONS) == [
        "a_{i=1} ", "= b(c<2) ", r"\le \left[ x = 2 \right) ", "= 3"]
    assert divided(r"= a \qquad \begin{aligned} b \qquad c \end{aligned}", {r"\qquad"}) == [
        "= a ", r"\qquad \begin{aligned} b \qquad c \end{aligned}"]
    assert in_lines("a = b", "block").count('display="inline" displaystyle="true"') == 2


def test_bold_letters_are_letters_of_their_own():
    tex = r"\mathbf{d_X} \mathbf{\Pi} \mathbb{1} \boldsymbol{\sigma} \mathbf{10'} \Pi"
    formula = ElementTree.fromstring(mathml(tex, "inline"))
    assert "".join(formula.itertext()) == "𝐝𝐗𝚷𝟙𝝈𝟏𝟎′Π"


def test_a_command_that_the_converter_does_not_know_is_an_error():
    with pytest.raises(ValueError, match="noSuchCommand"):
        mathml(r"\noSuchCommand x", "inline")


def test_settings_leave_out_what_only_works_in_a_browser():
    book = {"title": "Book", "author": "A", "sphinx": {"config": {"extensions": ["myst_nb", "tools.search"],
                                                                  "html_theme_options": {}}}}
    config = for_epub(book)["sphinx"]["config"]
    assert config["extensions"] == ["myst_nb", "tools.epub"] and "html_theme_options" not in config
    assert book["sphinx"]["config"]["extensions"] == ["myst_nb", "tools.search"]


def made(folder, programs):
    """Return an EPUB of two pages, which is made in a folder with the programs that a path has."""
    config = for_epub({"title": "Book", "author": "A", "sphinx": {"config": {"extensions": []}}})["sphinx"]["config"]
    config |= {"epub_basename": "book", "html_baseurl": "https://example.org/"}
    (folder / "conf.py").write_text("\n".join(f"{key} = {value!r}" for key, value in config.items()), encoding="utf-8")
    frame = io.BytesIO()
    Image.new("RGB", (4, 4)).save(frame, format="WEBP")
    data = base64.b64encode(frame.getvalue()).decode()
    Image.new("RGB", (64, 64)).save(folder / "plot.png", compress_level=0)
    figure = live_figure("temperature", words="It ends at 7.", scores=[0, 1]).data.replace("\n", "\n   ")
    (folder / "index.rst").write_text("One\n===\n\n.. toctree::\n   :hidden:\n   :numbered:\n\n   part/two\n",
                                      encoding="utf-8")
    (folder / "part").mkdir()
    (folder / "part" / "two.rst").write_text(
        "Two\n===\n\n.. math:: x = 1 \\tag{7}\n\n.. image:: /plot.png\n   :alt: b\n\n.. raw:: html\n\n"
        f'   <details><summary>Show the answer</summary><img alt="a" src="data:image/webp;base64,{data}"></details>\n'
        f"   {figure}\n", encoding="utf-8")
    build = [sys.executable, "-m", "sphinx", "-q", "-b", "epub", str(folder), str(folder / "out")]
    subprocess.run(build, cwd=ROOT, check=True, env=os.environ | {"PATH": programs})
    finish(folder / "out" / "book.epub", folder / "book.epub")
    return zipfile.ZipFile(folder / "book.epub")


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Return an EPUB that is made where there is no Chromium."""
    with made(tmp_path_factory.mktemp("epub"), programs="") as book:
        yield book


@pytest.fixture(scope="module")
def page(book):
    return ElementTree.fromstring(book.read("part/two.xhtml"))


def test_an_epub_opens_and_is_complete(book):
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


@pytest.mark.parametrize("contents", ["nav.xhtml", "toc.ncx"])
def test_its_contents_name_every_chapter_by_its_number(book, contents):
    found = ElementTree.fromstring(book.read(contents))
    lines = [line.text for line in found.iterfind(".//{*}a" if contents == "nav.xhtml" else ".//{*}navLabel/{*}text")]
    assert lines == ["One", "1. Two"]


def test_a_page_has_its_formulas_and_nothing_to_press(page):
    assert page.find(".//{*}math") is not None and page.find(".//{*}span[@class='eqno']").text == "(7)"
    assert [page.find(f".//{{*}}{tag}") for tag in ("details", "script", "style", "input")] == 4 * [None]


def test_images_are_in_the_file_as_small_png(book, page):
    names = {image.get("alt"): image.get("src").removeprefix("../") for image in page.iterfind(".//{*}img")}
    assert {name.rpartition(".")[2] for name in names.values()} == {"png"} and set(names) == {"a", "b"}
    assert book.getinfo(names["b"]).file_size < 2000


def test_without_a_browser_a_live_figure_is_told_in_its_words(page):
    figure = page.find(".//{*}div[@class='live-figure']")
    assert "It ends at 7." in "".join(figure.itertext()) and figure.find(".//{*}img") is None


@pytest.mark.skipif(not find_browser(), reason="no Chromium is installed")
def test_a_browser_draws_the_live_figure_and_a_cover(tmp_path):
    with made(tmp_path, programs=os.environ["PATH"]) as book:
        page = ElementTree.fromstring(book.read("part/two.xhtml"))
        picture = page.find(".//{*}div[@class='live-figure']/{*}img")
        assert picture.get("src").removeprefix("../") in book.namelist() and "Bars of 2 weights" in picture.get("alt")
        assert page.find(".//{*}p[@class='slider-value']").text == "scale λ: 1.00 (temperature 1.00)"
        assert 'name="cover"' in book.read("content.opf").decode()
        cover = Image.open(io.BytesIO(book.read("_static/cover.png")))
        assert cover.height > 1.4 * cover.width and len(cover.convert("RGB").getcolors(256)) > 2
