"""What is printed: the numbers in the contents are those of the pages."""

import pikepdf
import pytest

from tools.printing import print_numbered

pytestmark = pytest.mark.browser

BODY = """<nav><ul>{}</ul></nav><style>section {{ break-before: page }}</style>
<section id="less/lavit.html--one"><h1>One</h1></section>
<p style="height: 300mm">A long one.</p>
<section id="two"><h1>Two</h1></section>
"""


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


def shown(page):
    """Return the numbers that stand in the contents."""
    content = "(links) => links.map((link) => getComputedStyle(link, '::after').content)"
    return page.eval_on_selector_all("nav a", content)


def test_the_contents_say_on_which_page_a_title_is(page, tmp_path):
    page.set_content(BODY.format('<li><a href="#less/lavit.html--one">One <i>of two</i></a><li><a href="#two">Two</a>'))
    print_numbered(page, tmp_path / "book.pdf", "Book")
    with pikepdf.open(tmp_path / "book.pdf") as book, book.open_outline() as outline:
        pages = [book.pages.index(pikepdf.Page(title.destination[0])) + 1 for title in outline.root]
    assert pages == [2, 4] and shown(page) == ['"2"', '"4"']
    assert page.locator("nav a").first.inner_text() == "One of two" and page.locator("#two").is_visible()


def test_a_line_of_the_contents_that_leads_nowhere_is_an_error(page, tmp_path):
    page.set_content(BODY.format('<li><a href="#two">Two</a><li><a href="#three">Three</a>'))
    with pytest.raises(ValueError, match="doesn't have: three"):
        print_numbered(page, tmp_path / "book.pdf", "Book")
