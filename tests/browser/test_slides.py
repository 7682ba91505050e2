"""Slides in a browser: all is on the slide, large enough to be read; nothing is fetched; figures can be moved."""

import re
from pathlib import Path

import pikepdf
import pytest

from tools.paths import BUILD, ROOT
from tools.slides.deck import lesson_numbers

pytestmark = pytest.mark.browser

SLIDES = BUILD / "teach" / "slides"
NAMES = [Path(path).stem for path in lesson_numbers() if '"slideshow"' in (ROOT / path).read_text(encoding="utf-8")]

# What reaches beyond the slide, or is written too small. Left out are drawings, and what only a screen reader finds.
FAULTS = """() => {
  const slide = Reveal.getCurrentSlide().querySelector(".slide"), paper = slide.getBoundingClientRect(), faults = [];
  const style = getComputedStyle(slide), foot = paper.bottom - parseFloat(style.paddingBottom);
  for (const element of slide.querySelectorAll("*")) {
    const unseen = element.closest("aside, .told, script, style, .words");
    if (unseen || element.parentElement.closest("svg, mjx-container")) continue;
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const says = `${element.tagName.toLowerCase()}.${element.className} ${element.textContent.trim().slice(0, 40)}`;
    if (box.left < paper.left || box.right > paper.right || box.top < paper.top || box.bottom > foot + 3) {
      faults.push(`beyond the slide: ${says} (${[box.left, box.top, box.right, box.bottom].map(Math.round)})`);
    }
    const writes = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (writes && !element.closest("sub, sup, svg") && parseFloat(getComputedStyle(element).fontSize) < 20) {
      faults.push(`too small: ${says}`);
    }
    if (writes && element.closest(".math") && !element.closest("code") && /\\$[^$]+\\$/.test(element.textContent)) {
      faults.push(`not set: ${says}`);
    }
    if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible") {
      faults.push(`cut: ${says}`);
    }
  }
  for (const formula of slide.querySelectorAll("mjx-container[display]")) {
    if (formula.scrollWidth > formula.clientWidth + 1) faults.push(`wide formula: ${formula.textContent.slice(0, 40)}`);
  }
  for (const picture of slide.querySelectorAll("img")) {  // figures are drawn with 11 points, at 200 pixels an inch
    const {width, height} = picture.getBoundingClientRect();
    const points = 11 / 72 * 200 * Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
    if (points < 16) faults.push(`small figure: its words are ${Math.round(points)} high (slide_bands?)`);
  }
  for (const error of slide.querySelectorAll("[data-mjx-error], mjx-merror")) faults.push(`wrong: ${error.outerHTML}`);
  return faults;
}"""


@pytest.fixture
def opened(browser):
    """Return a function that opens a deck from its file; it must not fail, nor fetch what isn't beside it."""
    contexts, faults = [], []

    def asks(request):
        if not request.url.startswith(("data:", "blob:", SLIDES.as_uri())):
            faults.append(request.url)

    def open_it(name, **options):
        if not (SLIDES / f"{name}.html").exists():
            pytest.skip("the slides are not built: run make slides")
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 720}, has_touch=True, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(90_000)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.on("request", asks)
        page.goto((SLIDES / f"{name}.html").as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def turn_to(page, number):
    page.evaluate(f"Reveal.slide({number}, 0, 99)")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_a_slide_holds_all_that_it_shows_and_the_last_row_can_read_it(opened, name, scheme):
    page = opened(name, color_scheme=scheme)
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    faults = {}
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        turn_to(page, number)
        if found := page.evaluate(FAULTS):
            faults[f"slide {number + 1}"] = found
    assert faults == {}
    ground, ink = (page.evaluate(f"getComputedStyle(document.querySelector('{element}')).{what}")
                   for element, what in ((".reveal-viewport", "backgroundColor"), (".slide", "color")))
    light, dark = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ground, ink))
    assert (light > dark) == (scheme == "light")


@pytest.mark.parametrize("name", NAMES)
def test_the_slider_of_a_figure_keeps_its_keys_and_escape_gives_them_back(opened, name):
    page = opened(name)
    figures = page.evaluate("""() => Reveal.getSlides().map((slide, i) => [i, slide.querySelector("input[type=range]")])
        .filter(([, slider]) => slider).map(([i]) => i)""")
    if not figures:
        pytest.skip("no live figure in this deck")
    for number in figures:
        turn_to(page, number)
        slider = page.locator("section.present input[type=range]").first
        box, told = slider.bounding_box(), [slider.get_attribute("aria-valuetext")]
        middle = box["y"] + box["height"] / 2
        page.mouse.click(box["x"] + 3, middle)
        told.append(slider.get_attribute("aria-valuetext"))
        page.touchscreen.tap(box["x"] + box["width"] - 3, middle)
        told.append(slider.get_attribute("aria-valuetext"))
        slider.focus()
        page.keyboard.press("ArrowLeft")
        told.append(slider.get_attribute("aria-valuetext"))
        assert len({*told[1:]}) == 3 and page.evaluate("Reveal.getIndices().h") == number
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("Reveal.getIndices().h") == number - 1
        turn_to(page, number)
        slider.focus()
        page.keyboard.press("PageUp")
        assert page.evaluate("Reveal.getIndices().h") == number - 1


@pytest.mark.parametrize("name", NAMES[:1])
def test_the_speaker_view_opens_from_a_file_and_turns_the_slides(opened, name):
    page = opened(name)
    turn_to(page, 1)  # the title may have no notes
    with page.context.expect_page() as opening:
        page.keyboard.press("s")
    speaker = opening.value
    speaker.set_default_timeout(90_000)
    speaker.wait_for_function("document.querySelectorAll('iframe').length === 2")
    speaker.wait_for_selector(".speaker-controls-notes:not(.hidden) .value")
    speaker.keyboard.press("ArrowRight")
    page.wait_for_function("Reveal.getIndices().h === 2")


@pytest.mark.parametrize("name", NAMES[:1])
def test_slides_print_one_a_page_in_light_colours(opened, name, tmp_path):
    page = opened(name, color_scheme="dark")
    slides = page.evaluate("Reveal.getTotalSlides()")
    page.goto((SLIDES / f"{name}.html").as_uri() + "?print-pdf")
    page.wait_for_function(f"document.querySelectorAll('.pdf-page').length === {slides}")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=tmp_path / "slides.pdf", prefer_css_page_size=True, print_background=True)
    with pikepdf.open(tmp_path / "slides.pdf") as printed:
        assert len(printed.pages) == slides


@pytest.mark.parametrize("name", NAMES[:1])
def test_slides_are_open_to_everyone(opened, name):
    package = pytest.importorskip("axe_playwright_python")
    page = opened(name)
    page.evaluate(Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        turn_to(page, number)
        found = page.evaluate("() => axe.run('section.present', {resultTypes: ['violations'], preload: false})")
        assert [fault["id"] for fault in found["violations"] if fault["impact"] in ("serious", "critical")] == []


def test_the_list_of_decks_leads_to_each():
    if not (SLIDES / "index.html").exists():
        pytest.skip("the slides are not built: run make slides")
    listed = re.findall(r'href="(\w+)\.html"', (SLIDES / "index.html").read_text(encoding="utf-8"))
    assert listed == NAMES and all((SLIDES / f"{name}.html").exists() for name in listed)
