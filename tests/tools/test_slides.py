"""Slides show what the metadata of a chapter's cells says, and fetch nothing."""

import base64
import io
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools.editions import FOR_SLIDES, for_any_jupyter, reader_edition
from tools.slides.__main__ import SHARED, chosen, page_of, write_shared
from tools.slides.deck import SlideError, deck, slides_of

QUESTIONS = """\
## Quick questions

**1.** Which row is *uniform*,
[a word](#word) says?

<details class="answer"><summary>The first</summary>

Not quite: it has a $1$.

</details>
<details class="answer"><summary>The second</summary>

Right: all of its weights are alike.

</details>

**2.** Is it dense?

<details class="answer"><summary>Yes</summary>

Right: every token counts.

</details>
<details class="answer"><summary>No</summary>

Not quite.

</details>"""


def text(source, kind=None, **more):
    slideshow = {"slideshow": {"slide_type": kind}} if kind else {}
    return new_markdown_cell(source, metadata=slideshow | more)


def code(source, kind, outputs=(), **more):
    return new_code_cell(source, metadata={"slideshow": {"slide_type": kind}} | more, outputs=list(outputs))


def picture(*heights):
    """Return the output of a figure with black bars of these heights, with gaps of 10 rows around them."""
    drawn, top = Image.new("RGB", (4, sum(heights) + 10 * len(heights) + 10), "white"), 10
    for height in heights:
        drawn.paste("black", (0, top, 4, top + height))
        top += height + 10
    buffer = io.BytesIO()
    drawn.save(buffer, format="PNG")
    return new_output("display_data", data={"image/png": base64.b64encode(buffer.getvalue()).decode()})


def chapter(*cells):
    return new_notebook(cells=[text("# A title\n\nA row of $N$ weights."), *cells],
                        metadata={"language_info": {"name": "python"}})


def shown(*cells):
    """Return the sections of the page that shows these cells, after the title's."""
    page = page_of(deck(chapter(*cells), 7, "The book"))
    return BeautifulSoup(page, "html.parser").select("section")[1:]


def words(element):
    return " ".join(element.get_text(" ").split())


def notes(section):
    return " | ".join(words(aside) for aside in section.select("aside.notes"))


def test_the_title_slide_names_the_lesson_and_the_book_and_its_notes_are_the_opening():
    title = BeautifulSoup(page_of(deck(chapter(), 7, "The book")), "html.parser").section
    assert words(title.select_one(".title")) == "Lesson 7 A title The book"
    assert notes(title).startswith("A row of") and title.select("aside math")


def test_a_slide_shows_its_text_and_the_prose_is_for_the_speaker():
    prose = "## Long\n\nThe [**map**](#map) of [the chapter](other.ipynb) {cite}`key`."
    section, = shown(text(prose, "slide", slide=["## Short", "", "- one"], notes=["5 min. Ask first."]),
                     text("Own words.", "fragment"), text("Never.", None), text("- go on", "-"),
                     text("Only for *you*.", "notes"))
    assert words(section.select_one(".slide > .text")) == "Short one"
    assert [words(part) for part in section.select(".fragment .text")] == ["Own words.", "go on"]
    assert notes(section) == "5 min. Ask first. Long The map of the chapter. Only for you ."
    assert not section.select("a, .fragment aside") and "Never" not in words(section)


def test_code_is_shown_unless_it_is_hidden_and_text_stands_above_its_output():
    output = [new_output("stream", name="stdout", text="0.5\n")]
    seen, hidden, off, on = shown(
        code("seen = 1", "slide", output, slide=["## A heading"]),
        code("hidden = 1", "slide", output, tags=["hide-input"]),
        code("off = 1", "slide", output, slide_code=False),
        code("on = 1", "slide", output, tags=["hide-cell"], slide_code=True))
    assert [words(part) for part in (seen, hidden, off, on)] == ["A heading seen = 1 0.5", "0.5", "0.5", "on = 1 0.5"]


def test_a_figure_has_its_alternative_text_and_its_caption_is_for_the_speaker():
    buffer = io.BytesIO()
    Image.new("RGB", (2, 3)).save(buffer, format="PNG")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<Figure>"}
    figure = code("draw()", "slide", [new_output("display_data", data=data)], tags=["hide-input"],
                  mystnb={"figure": {"caption": "What $a_j$ shows.", "name": "fig"}, "image": {"alt": 'Two "bars".'}})
    section, = shown(figure)
    assert section.img["alt"] == 'Two "bars".' and section.img["src"].startswith("data:image/png;base64,")
    assert notes(section).startswith("Figure. What") and section.select("aside math")


def test_one_cell_may_have_several_slides_and_its_output_is_on_the_last():
    output = [new_output("stream", name="stdout", text="0.5\n")]
    vote, answer = shown(code("x = 1", "slide", output, tags=["hide-input"], slide=["## Which?", "---", "## This"],
                              notes=["Vote.", "---", "Half."]))
    assert [words(part) for part in (vote, answer)] == ["Which? Vote.", "This Half. 0.5"]
    first, second = shown(text("Prose.", "slide", slide=["## One", "", "---", "## Two"], notes=["1 min."]))
    assert [words(part) for part in (first, second)] == ["One 1 min. Prose.", "Two"]
    with pytest.raises(SlideError, match="notes for 2 slides, and text for 1"):
        shown(text("Prose.", "slide", slide=["## One"], notes=["a", "---", "b"]))


def test_a_figure_has_its_slide_for_itself_and_what_is_printed_beside_it_is_for_the_speaker():
    live = new_output("execute_result", data={"text/html": '<div class="live-figure"></div>', "text/plain": "Words"})
    said = [new_output("stream", name="stdout", text="0.5\n"),
            new_output("display_data", data={"text/markdown": "*So.*"})]
    section, = shown(code("x", "slide", [said[0], live, said[1]], tags=["hide-input"]))
    assert len(section.select(".outputs > *")) == 1 and notes(section) == "0.5 So."


def test_a_cell_chooses_the_outputs_that_its_slide_shows_and_the_speaker_has_the_others():
    tables = [new_output("display_data", data={"text/markdown": table}) for table in ("*One.*", "*Two.*")]
    first, none = shown(code("x", "slide", tables, tags=["hide-input"], slide_outputs=[0]),
                        code("y", "slide", tables, tags=["hide-input"], slide=["## Read"], slide_outputs=[]))
    assert words(first.select_one(".outputs")) == "One." and notes(first) == "Two."
    assert not none.select(".outputs") and notes(none) == "One. Two."


def test_rows_of_a_figure_have_slides_of_their_own_with_what_stands_above_and_below_all():
    rows = code("draw()", "slide", [picture(10, 60, 60, 10)], tags=["hide-input"],
                mystnb={"figure": {"caption": "Two."}}, slide_bands=["0-52 97-100", "0-12 53-100"],
                slide=["## Which?", "---", "## Above", "---", "## Below"],
                notes=["Vote.", "---", "1 min.", "---", "2 min."])
    vote, above, below = shown(rows)
    assert [words(part.h2) for part in (vote, above, below)] == ["Which?", "Above", "Below"] and not vote.img
    assert [notes(part) for part in (vote, above, below)] == ["Vote.", "1 min. Figure. Two.", "2 min."]
    heights = [Image.open(io.BytesIO(base64.b64decode(part.img["src"].partition(",")[2]))).height
               for part in (above, below)]
    assert heights == [95 + 5, 25 + 95]


def test_each_quick_question_is_a_slide_and_a_click_gives_the_answer():
    first, second = shown(text(QUESTIONS, "slide"))
    asked = words(first.select_one(".slide > .text"))
    assert asked == "Quick question 1 Which row is uniform , a word says? The first The second"
    assert words(first.select_one(".fragment")) == "B. All of its weights are alike."
    assert first.ol["type"] == "A" and len(first.select("ol > li")) == 2
    assert "A , The first. Not quite: it has a" in notes(first) and "B , The second. Right: all" in notes(first)
    assert words(second.select_one(".fragment")) == "A. Every token counts."


def test_a_box_of_the_chapter_is_a_box():
    section, = shown(text(":::{admonition} Take care\n:class: note dropdown\nOf $N$.\n:::", "slide"))
    assert words(section.select_one(".box")) == "Take care Of $N$."


@pytest.mark.parametrize(("cell", "message"), [
    (text("a", "subslide"), "slide_type 'subslide'; known: slide, fragment, -, notes"),
    (text("a", "skip"), "slide_type 'skip'"),
    (text("a", None, slide=["b"]), "'slide' and no slide_type"),
    (text("a", None, notes=["b"]), "'notes' and no slide_type"),
    (text("a", "slide", slide="b"), "'slide' that isn't a list of lines"),
    (text("a", "slide", notes=["b\nc"]), "'notes' that isn't a list of lines"),
    (text("a", "fragment"), "'fragment', but no cell before it starts a slide"),
    (code("a", "slide", slide_code=False, notes=[7]), "isn't a list of lines"),
    (code("a", "slide", slide_outputs=[0]), "slide_outputs [0], and 0 outputs, counted from 0"),
    (code("a", "slide", [picture(20, 70)], slide_bands=["0-50"]), "slide_bands: a cut at 50 % goes through the figure"),
    (code("a", "slide", [picture(20)], slide_bands=["half"]), "'half' isn't a list of bands such as '0-48 91-100'"),
    (code("a", "slide", [picture(20)], slide_bands=["0-9", "9-99"]), "slide_bands for 2 slides, and text for 1"),
    (code("a", "slide", slide_bands=["0-50"]), "slide_bands, and no picture"),
    (text(QUESTIONS.replace("Right:", "Yes:"), "slide"), "quick question 1 with 0 answers"),
])
def test_what_can_not_be_a_slide_is_an_error_that_names_the_cell(cell, message):
    cell.id = "culprit"
    with pytest.raises(SlideError, match=rf"^cell 2 \(culprit\) .*{re.escape(message)}"):
        slides_of(chapter(cell))


def test_a_name_that_is_no_lesson_is_an_error_that_says_which_are():
    with pytest.raises(SlideError, match="'lavitt' is no lesson.*lavit,"):
        list(chosen(["lavitt"]))


def test_a_chapter_is_not_changed_and_its_editions_have_nothing_of_its_slides():
    cells = chapter(text("a", "slide", slide=["b"], notes=["c"]), code("d", "slide", slide_code=False))
    before = nbformat.writes(cells)
    deck(cells)
    assert nbformat.writes(cells) == before
    for edition in (for_any_jupyter(cells), reader_edition(cells)):
        assert not any(name in cell.metadata for cell in edition.cells for name in FOR_SLIDES)


def test_a_page_names_no_address_and_all_that_it_fetches_is_there(tmp_path):
    write_shared(tmp_path / SHARED)
    page = BeautifulSoup(page_of(deck(chapter(text("$x$", "slide")))), "html.parser")
    assert page.html["lang"] == "en" and "A title" in page.title.get_text()
    fetches = page.select("script[src], link[href], img, iframe")
    named = [element.get("src") or element.get("href") for element in fetches]
    assert len(named) == 6
    for name in named:
        assert (tmp_path / name).is_file(), name
    names_of_languages = "http://www.w3.org/"
    rules = (tmp_path / SHARED / "slides.css").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import", (str(page) + rules).replace(names_of_languages, ""))
    assert "fonts/woff-v2/MathJax_Main-Regular.woff" in " ".join(p.as_posix() for p in tmp_path.rglob("*.woff"))
