"""A document of the teaching kit: one file that fetches nothing, with a place for each title."""

import re

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_output

from tools import document


@pytest.fixture(scope="module")
def page():
    body = document.markdown("## One\n\n### Two\n\nAs $a < b$ in [the figure](#fig-x), [two](#two), [next](../b.ipynb),"
                             " [out](https://example.org).\n\n```python\nx = 1\n```\n\n## One\n")
    return BeautifulSoup(document.page("Title", "What it *is*.", body), "html.parser")


def test_each_title_has_a_place_of_its_own_and_an_entry_in_the_contents(page):
    places = [title["id"] for title in page.main.find_all(document.HEADING)]
    assert len(set(places)) == 3 and [link["href"] for link in page.nav("a")] == [f"#{place}" for place in places]


def test_a_link_that_leads_nowhere_in_the_document_is_words(page):
    assert [link["href"] for link in page.main("a")] == ["https://example.org"]
    assert "the figure" in page.main.text and "next" in page.main.text


def test_the_page_is_one_file_that_fetches_nothing(page):
    fetched = [it.get("src") or it.get("href") for it in page(["img", "script", "link", "iframe", "source"])]
    assert not [address for address in fetched if address and not address.startswith("data:")]
    assert "@import" not in page.style.text and "url(" not in page.style.text
    assert len(page("script")[1].text) > 1_000_000, "MathJax is not in it"


def test_formulas_and_code_are_set(page):
    assert page.find(class_="math").text == r"\(a < b\)"
    assert page.find(class_="code").find("span", class_="mi").text == "1"


def test_a_plot_keeps_its_alt_text_and_a_print_its_lines():
    cell = new_code_cell(metadata={"mystnb": {"image": {"alt": 'A "line" rises.'}}}, outputs=[
        new_output("display_data", {"image/png": "AA==", "text/plain": "<Figure>"}),
        new_output("stream", name="stdout", text="\x1b[1ma < b\x1b[0m\n")])
    image, text = BeautifulSoup(document.outputs(cell), "html.parser").find_all(True, recursive=False)
    assert (image["alt"], text.text) == ('A "line" rises.', "a < b")


def test_headings_can_be_lowered_and_no_lower_than_six():
    assert document.lowered("<h2 id='a'>A</h2><h6>B</h6><hr>", 2) == "<h4 id='a'>A</h4><h6>B</h6><hr>"


def test_without_a_browser_the_html_is_made_and_a_word_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(document, "TEACH", tmp_path)
    monkeypatch.setattr("tools.printing.find_browser", lambda: None)
    target = document.write("answers", "Title", "About.", "<h2>One</h2>")
    said = capsys.readouterr().err
    assert re.search(r"<h1>Title</h1>", target.read_text(encoding="utf-8")) and not (tmp_path / "answers.pdf").exists()
    assert "chromium" in said and "there's no answers.pdf" in said


def test_a_line_keeps_together_what_the_pages_of_the_book_do():
    text = 'At $x = 1$. "As $y$?" ($N - 1$), the $k$-th, or $z$ alone: 95 % of `95 % code`.'
    soup = BeautifulSoup(document.markdown(text), "html.parser")
    bound = [span.get_text() for span in soup(class_="together")]
    assert bound == [r"\(x = 1\).", r"\(y\)?”", r"(\(N - 1\)),", r"\(k\)-th,", r"\(z\)"]
    assert soup.get_text() == (r'At \(x = 1\). “As \(y\)?” (\(N - 1\)), the \(k\)-th, or \(z\) alone: '
                               "95\xa0% of 95 % code.\n")
