"""What is done to a printed PDF: its outline gets the titles of the page, and it is packed."""

import pikepdf
import pytest

from tools.printing import finish, headings, pages_of

TITLES = headings("<h1><span>1. </span>One</h1><p>text</p><h2>Two\nwords</h2>")


@pytest.fixture
def printed(tmp_path):
    """Return a PDF of two pages, with an outline as Chromium writes it and many small entries."""
    book = pikepdf.new()
    for _ in range(2):
        book.add_blank_page()
    with book.open_outline() as outline:
        outline.root.append(pikepdf.OutlineItem("1. 1. OneOne", 0))
        outline.root[0].children.append(pikepdf.OutlineItem("Twowords", 1))
    there = [book.pages[1].obj, pikepdf.Name.XYZ, 0, 700, 0]
    book.Root.Dests = pikepdf.Dictionary({"/less/lavit.html--why": pikepdf.Array(there)})
    book.Root.Entries = pikepdf.Array(
        book.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.StructElem, Number=i)) for i in range(1000))
    book.save(tmp_path / "printed.pdf", object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return tmp_path / "printed.pdf"


def test_the_outline_gets_the_titles_of_the_page(printed, tmp_path):
    finish(printed, tmp_path / "book.pdf", TITLES)
    with pikepdf.open(tmp_path / "book.pdf") as book, book.open_outline() as outline:
        assert [outline.root[0].title, outline.root[0].children[0].title] == ["1. One", "Two words"]
        assert str(book.docinfo["/Subject"]).startswith("Version ")


def test_the_outline_has_the_chapters_under_their_parts(tmp_path):
    book = pikepdf.new()
    for _ in range(6):
        book.add_blank_page()
    with book.open_outline() as outline:
        outline.root.extend(pikepdf.OutlineItem("?", page) for page in range(5))
        outline.root[1].children.append(pikepdf.OutlineItem("?", 5))
    book.save(tmp_path / "printed.pdf")
    page = ('<h1>Start</h1><div data-part="I"><h1>One</h1><h2>Why?</h2></div><div data-part="I"><h1>Two</h1></div>'
            '<div data-part="II"><h1>Three</h1></div><h1>End</h1>')
    finish(tmp_path / "printed.pdf", tmp_path / "book.pdf", headings(page))

    def listed(entries):
        return [(entry.title, book.pages.index(pikepdf.Page(entry.destination[0])), listed(entry.children))
                for entry in entries]

    with pikepdf.open(tmp_path / "book.pdf") as book, book.open_outline() as outline:
        assert listed(outline.root) == [
            ("Start", 0, []), ("I", 1, [("One", 1, [("Why?", 5, [])]), ("Two", 2, [])]), ("II", 3, [("Three", 3, [])]),
            ("End", 4, [])]
        assert outline.root[1].children[0].is_closed and not outline.root[1].is_closed


def test_an_outline_that_lacks_a_title_is_an_error(printed, tmp_path):
    with pytest.raises(ValueError, match="2 entries.* 1 titles"):
        finish(printed, tmp_path / "book.pdf", TITLES[:1])
    assert not (tmp_path / "book.pdf").exists()


def test_small_entries_are_packed_together(printed, tmp_path):
    finish(printed, tmp_path / "book.pdf", TITLES)
    assert (tmp_path / "book.pdf").stat().st_size < printed.stat().st_size / 5
    with pikepdf.open(tmp_path / "book.pdf") as book:
        assert [entry.Number for entry in book.Root.Entries] == list(range(1000))


def test_a_place_has_its_page(printed):
    assert pages_of(printed) == {"less/lavit.html--why": 2}
