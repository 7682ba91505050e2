"""Live figures in a browser: everyone can move their sliders, and is told what they show."""

from math import sqrt
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from minivit.figures import slider_figure
from tests.browser.reading import numbers, said
from tests.figures.live_data import DATA, make
from tools.paper import on_paper

pytestmark = pytest.mark.browser

NAMES = [*DATA, "attention"]
DARK = "background: #14181e; color: #ced6dd"


def test_the_dot_of_softmax_can_be_dragged(figure):
    page = figure("softmax")
    box = page.locator(".plots svg").first.bounding_box()
    unit = box["width"] / 340
    page.mouse.move(box["x"] + 100 * unit, box["y"] + 200 * unit)
    page.mouse.down()
    page.mouse.move(box["x"] + 170 * unit, box["y"] + (260 - 130 / sqrt(3)) * unit)  # the middle
    page.mouse.up()
    assert numbers(page)[:3] == pytest.approx([1 / 3] * 3, abs=0.02)


def test_a_patch_is_chosen_by_pointer_touch_and_arrow_keys(figure):
    page = figure("attention")
    picture = page.get_by_role("application")
    box = picture.bounding_box()

    def middle_of(row, column):
        return box["x"] + (column - 0.5) * box["width"] / 8, box["y"] + (row - 0.5) * box["height"] / 8

    page.mouse.move(*middle_of(2, 7))
    assert said(page).startswith("The patch in row 2, column 7")
    page.touchscreen.tap(*middle_of(5, 1))
    assert said(page).startswith("The patch in row 5, column 1")
    picture.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert said(page).startswith("The patch in row 4, column 3")
    assert "row 4, column 3" in picture.get_attribute("aria-label")
    page.get_by_role("button", name="class token").click()
    assert said(page).startswith("The class token looks")


@pytest.mark.parametrize("name", NAMES)
def test_each_slider_by_mouse_touch_and_keyboard_tells_its_value(figure, name):
    page = figure(name)
    for slider in page.get_by_role("slider").all():
        box, told = slider.bounding_box(), [slider.get_attribute("aria-valuetext")]
        middle = box["y"] + box["height"] / 2
        page.mouse.click(box["x"] + 0.97 * box["width"], middle)
        told.append(slider.get_attribute("aria-valuetext"))
        page.touchscreen.tap(box["x"] + 0.5 * box["width"], middle)
        told.append(slider.get_attribute("aria-valuetext"))
        slider.focus()
        page.keyboard.press("Home")
        told.append(slider.get_attribute("aria-valuetext"))
        assert len({*told[1:]}) == 3 and all(told)
    before = page.locator(".told").inner_text()
    page.wait_for_timeout(900)
    assert page.locator(".told").inner_text() not in ("", before), "a screen reader hears what the figure says"


@pytest.mark.parametrize("name", NAMES)
def test_the_description_of_a_plot_follows_the_sliders(figure, name):
    page = figure(name)
    drawings = page.locator(".plots [aria-label]")
    told = []
    for key in ("Home", "End"):
        page.get_by_role("slider").first.focus()
        page.keyboard.press(key)
        told.append([drawing.get_attribute("aria-label") for drawing in drawings.all()])
    assert told[0] != told[1] and all(told[0] + told[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width, style", [(360, ""), (360, DARK), (900, DARK)])
def test_it_fits_and_is_open_to_everyone(figure, name, width, style):
    page = figure(name, width=width, style=style)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".live-figure.dark").count() == (style == DARK)
    package = pytest.importorskip("axe_playwright_python")
    page.evaluate(Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run({resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})")
    assert [fault["id"] for fault in found["violations"] if fault["impact"] in ("serious", "critical")] == []


def test_without_scripts_the_words_are_open(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(make("ring").data)
    assert page.get_by_text("each sends less than two vectors").is_visible()
    context.close()


def test_two_of_a_kind_do_not_disturb_each_other(show):
    page = show(make("ring").data + make("ring").data)
    page.get_by_label("step", exact=True).first.focus()
    page.keyboard.press("End")
    first, second = (part.inner_text() for part in page.locator(".says").all())
    assert "done" in first and "done" not in second


def test_a_figure_with_stored_frames_tells_what_it_shows(show):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    page = show(slider_figure(lambda n: plt.figure(figsize=(n, 1)), [1, 2, 3], label="width", alt="A blank.",
                              text=lambda n: f"{n} in")._repr_mimebundle_()["text/html"])
    assert page.get_by_role("img").get_attribute("alt") == "width: 2 in. A blank."
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("img").get_attribute("alt") == "width: 3 in. A blank."
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == "3 in"


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_drawn_on_paper_too(show, name):
    soup = BeautifulSoup(make(name).data, "html.parser")
    page = show(on_paper(soup, soup).decode())
    page.wait_for_selector(".live-figure.ready .plots :is(svg, canvas)")
