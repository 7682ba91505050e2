"""Draw live figures for pages on which no script runs: as they stand before anything is moved, as they are printed."""

import base64
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag

from tools.browsers import running
from tools.printing import WIDTH

PAGE = '<!DOCTYPE html><body style="margin: 0; font: 16px/1.4 system-ui, sans-serif">{}</body>'
READ = """() => {
  const all = (what, said) => [...document.querySelectorAll(what)].map(said);
  return {
    values: all(".rows label", (label) => `${label.textContent}: ${label.nextElementSibling.textContent}`),
    alt: all(".plots [aria-label]", (plot) => plot.getAttribute("aria-label")).join(" "),
    says: all(".says span", (line) => line.textContent),
  };
}"""


def put_still(page: Any, soup: BeautifulSoup, figure: Tag) -> None:
    """Put above the words of a live figure the values of its sliders, its picture and what it says.

    Parameters
    ----------
    page
        A page of a browser, which runs the figure.
    soup
        Where the figure stands.
    figure
        Its element, which is changed.
    """
    page.set_content(PAGE.format(figure))
    page.wait_for_selector(".says span")
    drawn = base64.b64encode(page.locator(".plots").screenshot()).decode()
    seen = page.evaluate(READ)

    def line(text: str, kind: str) -> Tag:
        made = soup.new_tag("p", attrs={"class": kind})
        made.string = text
        return made

    figure.select_one(".words").insert_before(
        *[line(value, "slider-value") for value in seen["values"]],
        soup.new_tag("img", attrs={"src": f"data:image/png;base64,{drawn}", "alt": seen["alt"]}),
        *[line(said, "says") for said in seen["says"]])


class Stills:
    """Puts stills by a Chromium that starts with the first figure; where there is none, a figure keeps its words.

    Parameters
    ----------
    program
        Chromium, or None.
    """

    def __init__(self, program: str | None):
        self.program = program
        self.opened = ExitStack()
        self.page = None

    def open(self) -> Any:
        """Return the page that all is drawn on, the same each time."""
        if self.page is None:
            browser = self.opened.enter_context(running(self.program))
            self.page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, device_scale_factor=2)
            self.page.emulate_media(media="print")
        return self.page

    def put(self, soup: BeautifulSoup, figure: Tag) -> None:
        if self.program:
            put_still(self.open(), soup, figure)

    def draw(self, body: str, style: str, target: Path) -> None:
        """Write a picture of HTML as it fills a page."""
        page = self.open()
        page.set_content(f'<!DOCTYPE html><html class="whole-book"><style>{style}</style>'
                         f'<body style="margin: 0; font: 16px/1.5 system-ui, sans-serif">{body}</body></html>')
        page.screenshot(path=target)

    def close(self) -> None:
        self.opened.close()
