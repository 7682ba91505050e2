"""Print a page of HTML as a PDF: its formulas set, its contents with page numbers, its titles as an outline.

Chromium prints, twice: where a title comes to lie is only known from what was printed. Then qpdf, which pikepdf brings,
packs what Chromium writes loosely, such as a quarter of a million entries for screen readers.
"""

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from minivit.files import write_whole
from tools.browsers import NAMES, find_browser, running
from tools.version import date, in_words, version

logging.getLogger("pikepdf").setLevel(logging.WARNING)  # a style of Pygments lets every library tell what it does
MARGIN = {"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"}
WIDTH = round((210 - 2 * 18) * 96 / 25.4)  # of the text on A4, in pixels of CSS

FIT = """() => {
  const fit = (element, inside) => {
    const [has, needs] = [inside.clientWidth, Math.max(element.scrollWidth, element.offsetWidth)];
    if (needs > has + 1) element.style.fontSize = `${has / needs * parseFloat(getComputedStyle(element).fontSize)}px`;
  };
  document.querySelectorAll("mjx-container[display]").forEach((formula) => fit(formula, formula.parentElement));
  for (let i = 0; i < 3; i += 1) {
    document.querySelectorAll("table").forEach((table) => fit(table, table.parentElement));
  }
}"""

# A line of the contents: its title, dots, and its page, whose place is as wide before it is known.
LINE = """\
nav a { align-items: last baseline; color: inherit; display: flex; text-decoration: none; }
nav a::before { border-bottom: 1.5px dotted; content: ""; flex: 1 0 1em; margin-inline: 0.4em; opacity: 0.5; order: 1; }
nav a::after { content: attr(data-page); flex: none; font-variant-numeric: tabular-nums; min-width: 2em; order: 2;
  text-align: right; white-space: nowrap; }
.unseen body :not(nav, nav *) { visibility: hidden !important; }
"""
WRAP = """() => document.querySelectorAll("nav a").forEach((link) => {
  const title = document.createElement("span");
  title.append(...link.childNodes);
  link.append(title);
})"""
NUMBER = """(pages) => [...document.querySelectorAll("nav a")].map((link) => {
  const place = link.getAttribute("href").slice(1);
  link.dataset.page = pages[place] ?? "";
  return place;
})"""


def pages_of(printed: Path) -> dict[str, int]:
    """Return the page of each place in a PDF that something links to; the first page is 1."""
    import pikepdf

    with pikepdf.open(printed) as book:
        number = {page.objgen: place for place, page in enumerate(book.pages, 1)}
        return {name.removeprefix("/"): number[there[0].objgen] for name, there in book.Root.get("/Dests", {}).items()}


def print_numbered(page: Any, target: Path, name: str) -> None:
    """Print the page that a browser shows, with the page of each title in the contents and a name at the foot.

    Raises
    ------
    ValueError
        If a line of the contents leads nowhere, or a title moved when the contents got their numbers.
    """
    footer = ('<div style="font: 10px sans-serif; width: 100%; text-align: center; color: #555">'
              f'{name}, version {version()} &nbsp;·&nbsp; <span class="pageNumber"></span></div>')

    def printed(**more: bool) -> dict[str, int]:
        page.pdf(path=target, format="A4", print_background=True, display_header_footer=True, margin=MARGIN,
                 header_template="<span></span>", footer_template=footer, **more)
        return pages_of(target)

    page.add_style_tag(content=LINE)
    page.evaluate(WRAP)
    page.evaluate("document.documentElement.classList.add('unseen')")  # what isn't painted is sooner printed
    pages = printed()
    page.evaluate("document.documentElement.classList.remove('unseen')")
    if lost := set(page.evaluate(NUMBER, pages)) - set(pages):
        raise ValueError(f"the contents name places that the text doesn't have: {', '.join(sorted(lost))}")
    if printed(outline=True, tagged=True) != pages:
        raise ValueError("with their numbers, the contents moved titles to other pages")


def print_page(program: str, source: Path, target: Path, name: str) -> None:
    """Let Chromium print a page when its formulas are set and its images are there."""
    with running(program) as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000})
        page.set_default_timeout(600_000)
        page.emulate_media(media="print")
        page.goto(source.as_uri(), wait_until="load")
        page.evaluate("async () => { await MathJax.startup.promise; await document.fonts.ready; }")
        page.evaluate(FIT)
        print_numbered(page, target, name)


def headings(page: str) -> list[tuple[str, str]]:
    """Return the titles of a page, in order, as they stand in the text, each with the part that it belongs to, or "".

    What belongs to a part is in an element whose ``data-part`` names it.
    """
    found = BeautifulSoup(page, "html.parser").find_all(re.compile("^h[1-6]$"))
    parts = [title.find_parent(attrs={"data-part": True}) for title in found]
    return [(" ".join(title.get_text().split()), part["data-part"] if part else "")
            for title, part in zip(found, parts, strict=True)]


def entries(parent: Any) -> Iterator[Any]:
    """Return the entries of an outline, in order."""
    entry = parent.get("/First")
    while entry is not None:
        yield entry
        yield from entries(entry)
        entry = entry.get("/Next")


def under_parts(book: Any, parts: list[str]) -> None:
    """Put the chapters of a part under its name in the outline, which shows them when it is opened.

    Parameters
    ----------
    book
        A PDF, open in pikepdf.
    parts
        For each entry of the outline, the part that it belongs to, or "".
    """
    import pikepdf

    with book.open_outline() as outline:
        chapters = list(outline.root)
        outline.root.clear()
        place = 0
        for chapter in chapters:
            part, inside = parts[place], outline.root
            if part:
                if not inside or inside[-1].title != part:
                    inside.append(pikepdf.OutlineItem(part, chapter.destination))
                inside = inside[-1].children
            inside.append(chapter)
            chapter.is_closed = bool(chapter.children)
            place += 1 + sections(chapter)


def sections(entry: Any) -> int:
    """Return how many entries an entry of an outline has under it."""
    return sum(1 + sections(child) for child in entry.children)


def finish(source: Path, target: Path, titles: list[tuple[str, str]]) -> None:
    """Say in the file what it is, pack it, and set its outline right.

    In the outline Chromium repeats words, and joins them at line ends. It knows of no parts.

    Raises
    ------
    ValueError
        If the outline hasn't as many entries as there are titles.
    """
    import pikepdf

    pikepdf.settings.set_flate_compression_level(9)
    with pikepdf.open(source) as book:
        outline = list(entries(book.Root.Outlines))
        if len(outline) != len(titles):
            raise ValueError(f"the outline of the PDF has {len(outline)} entries, and the page {len(titles)} titles")
        for entry, (title, _) in zip(outline, titles, strict=True):
            entry.Title = title
        under_parts(book, [part for _, part in titles])
        book.docinfo["/Author"] = "The minivit authors"
        book.docinfo["/Subject"] = f"Version {version()}, {in_words(date())}"
        write_whole(target, lambda part: book.save(part, object_stream_mode=pikepdf.ObjectStreamMode.generate,
                                                   recompress_flate=True))


def can_print() -> bool:
    """Return whether there is a Chromium; say what is missing if there is none."""
    if find_browser():
        return True
    print(f"The PDF is printed by Chromium, and none of {', '.join(NAMES)} is installed. Install one, for example "
          "with `apt-get install chromium`, or open the HTML in any browser and print it.", file=sys.stderr)
    return False


def make_pdf(source: Path, target: Path, name: str) -> None:
    """Print a page with formulas as a PDF, with its pages in its contents and an outline."""
    printed = source.with_suffix(".printed.pdf")
    print_page(find_browser(), source, printed, name)
    finish(printed, target, headings(source.read_text(encoding="utf-8")))
    printed.unlink()
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
