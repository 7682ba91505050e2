"""The PDF: links that stay in it, an outline with the titles of the book, and a clear word without Chromium."""

import pytest
from pypdf import PdfReader, PdfWriter

from tools import pdf
from tools.pdf import chapter, finish, headings, placed


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


def test_the_outline_gets_the_titles_of_the_book(tmp_path):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    parent = writer.add_outline_item(title="1. 1. OneOne", page_number=0)
    writer.add_outline_item(title="Twowords", page_number=0, parent=parent)
    writer.write(tmp_path / "printed.pdf")
    titles = headings("<h1><span>1. </span>One</h1><p>text</p><h2>Two\nwords</h2>")
    finish(tmp_path / "printed.pdf", tmp_path / "book.pdf", titles)
    book = PdfReader(tmp_path / "book.pdf")
    first, (second,) = book.outline
    assert (first.title, second.title) == ("1. One", "Two words") and book.metadata.subject.startswith("Version ")
    with pytest.raises(ValueError, match="2 entries.* 1 titles"):
        finish(tmp_path / "printed.pdf", tmp_path / "wrong.pdf", titles[:1])
    assert not (tmp_path / "wrong.pdf").exists()


def test_without_a_browser_there_is_a_clear_word(monkeypatch, capsys):
    monkeypatch.setattr(pdf, "find_browser", lambda: None)
    assert pdf.main() == 1
    assert "apt-get install chromium" in capsys.readouterr().err
