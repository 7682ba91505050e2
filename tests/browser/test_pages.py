"""What a reader meets in a browser: pages that everyone can use, code that fits, and little to fetch."""

import gzip
from itertools import product
from pathlib import Path

import pytest

from tools.notebooks import notebook_paths
from tools.paths import BUILD, ROOT

pytestmark = pytest.mark.browser

BOOK = ROOT / "book"
CHAPTERS = [path.relative_to(BOOK).with_suffix("").as_posix() for path in notebook_paths(ROOT)]
PAGES = [*CHAPTERS, *(path.relative_to(BOOK).with_suffix("").as_posix() for path in BOOK.rglob("*.md")), "search"]
WIDTHS, THEMES = (1280, 390), ("light", "dark")
UNPACKED = ("font/", "image/png", "image/webp")  # sent as they are; the rest is compressed


def axe():
    package = pytest.importorskip("axe_playwright_python")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def open_page(browser, site):
    """Return a function that opens a page, and the requests and console errors of pages opened so far."""
    contexts = []

    def open_it(name):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce"))
        page = contexts[-1].new_page()
        page.errors, page.got = [], []
        page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("response", lambda answer: page.got.append(answer))
        page.goto(f"{site}/{name}.html", wait_until="networkidle")
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_nothing_serious_is_in_the_way_of_anyone(open_page, name):
    page = open_page(name)
    assert page.errors == []
    page.evaluate(axe())
    faults = []
    for width, theme in product(WIDTHS, THEMES):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(600)  # 300 ms after a resize, the theme makes code that scrolls focusable
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        found = page.evaluate("""() => axe.run({
            resultTypes: ["violations"], rules: {"label-content-name-mismatch": {enabled: true}}})""")
        faults += [(width, theme, fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]
                   if fault["impact"] in ("serious", "critical")]
    assert faults == []


SCROLLS = ".highlight pre, .cell_output pre, .pst-scrollable-table-container, div.math"


@pytest.mark.parametrize("name", PAGES)
def test_code_tables_and_equations_fit_at_1280_pixels(open_page, name):
    page = open_page(name)
    unfold(page)
    read_to_the_end(page)
    assert page.evaluate("[...document.querySelectorAll('mjx-merror')].map((wrong) => wrong.textContent)") == []
    wide = page.evaluate("""(what) => [...document.querySelectorAll(what)]
        .filter((part) => part.scrollWidth > part.clientWidth + 1 && !part.closest(".tag_second-reading"))
        .map((part) => part.textContent.trim())""", SCROLLS)
    assert wide == []


def unfold(page):
    page.evaluate("""() => {
        document.querySelectorAll("details").forEach((folded) => { folded.open = true; });
        document.querySelectorAll(".toggle-hidden").forEach((folded) => folded.classList.remove("toggle-hidden"));
    }""")


def read_to_the_end(page):
    """Go through a page as a reader does: images come when near, and MathJax sets what comes into view."""
    page.evaluate("""async () => {
        await window.MathJax?.startup?.promise;
        for (let y = 0; y < document.documentElement.scrollHeight; y += 800) {
            window.scrollTo(0, y);
            for (let i = 0; i < 30; i += 1) {
                await new Promise((done) => setTimeout(done, 20));
                const waits = [...document.querySelectorAll("mjx-lazy")].some((formula) => {
                    const {top, bottom} = formula.getBoundingClientRect();
                    return top < innerHeight && bottom > 0;
                });
                if (!waits) break;
            }
        }
    }""")


@pytest.mark.parametrize("name", PAGES)
def test_a_telephone_shows_a_page_without_scrolling_sideways(open_page, name):
    page = open_page(name)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    unfold(page)
    one_word_a_line = page.evaluate("""() => [...document.querySelectorAll(".pst-scrollable-table-container p")]
        .filter((cell) => cell.clientWidth < 64)
        .filter((cell) => cell.clientHeight > 3.5 * parseFloat(getComputedStyle(cell).lineHeight))
        .map((cell) => cell.textContent)""")
    assert one_word_a_line == []
    cut = page.evaluate("""() => [...document.querySelectorAll(".live-figure .rows > .value")]
        .filter((value) => value.getBoundingClientRect().right > innerWidth).map((value) => value.textContent)""")
    assert cut == []
    small = page.evaluate("""() => [...document.querySelectorAll(".cell_output figure img")]
        .filter((plot) => plot.offsetWidth < Math.min(480, parseFloat(plot.style.width)) - 1)
        .map((plot) => plot.alt)""")
    assert small == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_on_a_telephone_few_formulas_must_be_scrolled(open_page, name):
    page = open_page(name)
    page.set_viewport_size({"width": 360, "height": 740})
    unfold(page)
    read_to_the_end(page)
    wide, in_lines = page.evaluate("""() => ["div.math", ":is(p, li) span.math.long"].map((what) =>
        [...document.querySelectorAll(`.bd-article ${what}`)].filter((part) => {
            const {right} = part.closest("p, li, div.math").getBoundingClientRect();
            const set = [...part.querySelectorAll("mjx-math")];
            return set.some((formula) => formula.getBoundingClientRect().right > right + 3);
        }).map((part) => part.textContent.trim()))""")
    assert in_lines == [] and len(wide) <= 6  # such as tables of cases


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_read_to_its_end_fetches_little_and_nothing_from_elsewhere(open_page, site, name):
    page = open_page(name)
    read_to_the_end(page)
    page.wait_for_load_state("networkidle")
    got = page.got
    assert [answer.url for answer in got if not answer.url.startswith((site, "data:"))] == []
    sizes = {answer.url: len(body if answer.headers.get("content-type", "").startswith(UNPACKED)
                             else gzip.compress(body))
             for answer in got if answer.url.startswith(site) for body in [answer.body()]}
    assert sum(sizes.values()) <= 1_000_000, sorted(sizes.items(), key=lambda item: -item[1])[:5]


def test_every_icon_has_its_drawing(open_page):
    page = open_page(CHAPTERS[0])
    page.wait_for_selector("svg.svg-inline--fa", state="attached")
    assert page.evaluate("[...document.querySelectorAll('i[class*=fa-]')].map((icon) => icon.className)") == []


def test_equations_are_set_when_they_come_into_view(open_page):
    page = open_page("attention/softmax_jacobian")
    page.locator("div.math").last.scroll_into_view_if_needed()
    page.wait_for_function("""() => {
        const last = [...document.querySelectorAll("div.math")].at(-1);
        return last.querySelector("mjx-math") && !last.querySelector("mjx-lazy");
    }""")


def test_a_search_from_a_disk_says_where_in_a_page_and_shows_an_excerpt(browser):
    page = browser.new_page()
    page.goto((BUILD / "html" / "search.html").as_uri() + "?q=entropy")
    found = page.evaluate("""() => [...document.querySelectorAll("#search-results li")].map(
        (item) => [item.querySelector("a").getAttribute("href"), item.textContent,
                   item.querySelector("p").textContent])""")
    assert len(found) > 15
    for address, shown, excerpt in found:
        name, _, anchor = address.partition("#")
        assert f'id="{anchor.partition(":~:")[0]}"' in (BUILD / "html" / name).read_text(encoding="utf-8")
        assert "entrop" in shown.lower() and excerpt
    page.close()
