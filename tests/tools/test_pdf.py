"""The PDF: links that stay in it, contents that list every section, and a clear word without Chromium."""

import re

import pytest
from bs4 import BeautifulSoup

from tools import pdf
from tools.pdf import chapter, joined, placed


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("#heads", "#attention/self_attention.html--heads"),
        ("softmax_jacobian.html", "#attention/softmax_jacobian.html"),
        ("../less/lavit.html#why", "#less/lavit.html--why"),
        ("../_images/plot.png", "../html/_images/plot.png"),
        ("https://example.org/a#b", "https://example.org/a#b"),
        ("data:image/webp;base64,AA", "data:image/webp;base64,AA"),
    ],
)
def test_a_link_leads_to_its_place_in_the_joined_page(address, place):
    assert placed("attention/self_attention.html", address) == place


def test_ids_of_different_chapters_differ_and_a_live_figure_keeps_its_own():
    page = ('<article class="bd-article"><section id="why"><h1>Why?</h1><a href="#why"><img src="../a.png"></a>'
            '</section><div class="output text_html"><div id="live">x</div></div></article>')
    body = chapter("less/lavit.html", page)
    assert body["id"] == "less/lavit.html" and body.section["id"] == "less/lavit.html--why"
    assert body.find(id="live") and body.img["src"] == "../html/a.png" and not body.find("a")


@pytest.fixture
def book(tmp_path):
    """Return a book of an introduction and a chapter, joined."""
    (tmp_path / "less").mkdir()
    page = ('<article class="bd-article"><section id="a"><h1>{0}</h1><section id="why"><h2>Why {0}?</h2></section>'
            '</section></article>')
    sidebar = ('<p class="logo__title">Book</p><nav class="bd-links"><ul><li class="toctree-l1"><a href="#">Start</a>'
               '</ul><p class="caption">Part &amp; more</p><ul><li class="toctree-l1">'
               '<a href="less/lavit.html">1. LaViT</a></ul></nav>')
    (tmp_path / "intro.html").write_text(sidebar + page.format("Start"), encoding="utf-8")
    (tmp_path / "less" / "lavit.html").write_text(page.format("LaViT"), encoding="utf-8")
    return BeautifulSoup(joined(tmp_path), "html.parser")


def test_the_contents_list_parts_chapters_and_sections_in_order(book):
    assert [line.text for line in book.nav.select("h1, a, .part")] == [
        "Contents", "Start", "Why Start?", "Part & more", "1. LaViT", "Why LaViT?"]
    assert all(book.find(id=link["href"].removeprefix("#")) for link in book.nav("a"))


def test_the_head_of_a_page_names_its_part_and_its_chapter(book):
    heads = re.findall(r'@page (.*?) .*?content: "(.*?)".*?content: "(.*?)"', book.style.text)
    assert heads == [("chapter-1", "", "Start"), ("chapter-2", "Part & more", "1. LaViT")]
    assert [article["style"] for article in book("article")] == [f"page: {name}" for name, *_ in heads]
    assert [article["data-part"] for article in book("article")] == [part for _, part, _ in heads]


def test_without_a_browser_there_is_a_clear_word(monkeypatch, capsys):
    monkeypatch.setattr("tools.printing.find_browser", lambda: None)
    assert pdf.main() == 1
    assert "apt-get install chromium" in capsys.readouterr().err
