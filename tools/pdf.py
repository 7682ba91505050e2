"""Print the book as one PDF: the built pages are joined to one page, unfolded, which Chromium prints.

One page, and not a PDF for each chapter joined later, so that every link leads to its place, the pages are numbered
through, and the outline has all headings.
"""

import html
import json
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from minivit.files import write_whole
from tools.browsers import NAMES, find_browser
from tools.paper import on_paper
from tools.paths import BUILD, RELEASE
from tools.version import BOOK, date, in_words, release_name, version

HTML = BUILD / "html"
JOINED = BUILD / "pdf" / "book.html"
MILLIMETRE = 96 / 25.4  # in pixels of CSS
PAPER = {"width": 210, "height": 297, "top": 18, "bottom": 20, "side": 18}  # A4, in millimetres
ELSEWHERE = re.compile(r"[a-z]+:|#|$")  # an address that no page of the book has

TITLE_PAGE = """\
<section class="title-page">
<img src="../html/_static/logo.svg" alt="">
<h1>{title}</h1>
<p class="subtitle">Vision Transformers from scratch</p>
<p>The minivit authors</p>
<p>Version {version}, {date}</p>
<p>Text and figures under CC BY 4.0, code under the MIT licence</p>
</section>
"""

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


def places(contents: Tag) -> Iterator[tuple[str, str]]:
    """Return what the contents in the sidebar list: captions, each with an empty address, and titles with theirs."""
    for entry in contents.select("p.caption, li.toctree-l1 > a"):
        yield " ".join(entry.get_text(" ", strip=True).split()), entry.get("href", "")


def placed(page: str, address: str) -> str:
    """Return where an address on a page leads in the joined page; an id there begins with its page's name."""
    if ELSEWHERE.match(address) and not address.startswith("#"):
        return address
    parts = urlsplit(address)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path))) if parts.path else page
    if not target.endswith(".html"):
        return f"../html/{target}"
    return f"#{target}" + (f"--{parts.fragment}" if parts.fragment else "")


def chapter(page: str, source: str) -> Tag:
    """Return the text of a page as one part of the joined page."""
    soup = BeautifulSoup(source, "html.parser")
    body = on_paper(soup, soup.select_one("article.bd-article"))
    for element in body.find_all(id=True):
        if not element.find_parent(class_="text_html"):  # the script of a live figure knows its own ids
            element["id"] = f"{page}--{element['id']}"
    for picture in body.select("a.image-reference, a:has(> img)"):
        picture.unwrap()
    for name, kind in (("href", "a"), ("src", "img")):
        for element in body.find_all(kind, attrs={name: True}):
            element[name] = placed(page, element[name])
    body["id"] = page
    return body


def joined(folder: Path) -> str:
    """Return the whole book as one page, for what lies in a folder of built pages."""
    first = BeautifulSoup((folder / "intro.html").read_text(encoding="utf-8"), "html.parser")
    book = first.select_one(".logo__title").get_text(strip=True)
    contents, parts = [], []
    for title, address in places(first.select_one("nav.bd-links")):
        if not address:
            contents.append(f'</ul><h2 class="part">{html.escape(title)}</h2><ul>')
            continue
        page = "intro.html" if address == "#" else address
        contents.append(f'<li><a href="#{page}">{html.escape(title)}</a></li>')
        parts.append(str(chapter(page, (folder / page).read_text(encoding="utf-8"))))
    title_page = TITLE_PAGE.format(title=book, version=version(), date=in_words(date()))
    sheets = "".join(f'<link rel="stylesheet" href="../html/{path.relative_to(folder).as_posix()}">\n' for path in (
        folder / "_static/styles/theme.css", folder / "_static/styles/pydata-sphinx-theme.css",
        folder / "_static/pygments.css", folder / "_static/styles/sphinx-book-theme.css",
        *sorted(folder.glob("_static/mystnb.*.css")), folder / "_static/book.css"))
    math = json.dumps({"options": {"processHtmlClass": "math", "enableMenu": False}})
    return (f'<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light" class="whole-book"><head>\n'
            f'<meta charset="utf-8"><title>{book} {version()}</title>\n{sheets}'
            f"<script>window.MathJax = {math}</script>\n"
            f'<script defer src="../html/_static/mathjax/tex-chtml.js"></script></head>\n<body class="bd-content">\n'
            f'{title_page}<nav class="whole-contents"><h1>Contents</h1><ul>{"".join(contents)}</ul></nav>\n'
            f"{''.join(parts)}</body></html>\n")


def print_page(program: str, source: Path, target: Path, name: str) -> None:
    """Let Chromium print a page when its formulas are set and its images are there, with a name at the foot."""
    from playwright.sync_api import sync_playwright

    width = round((PAPER["width"] - 2 * PAPER["side"]) * MILLIMETRE)
    footer = ('<div style="font: 8px sans-serif; width: 100%; text-align: center; color: #555">'
              f'{name}, version {version()} &nbsp;·&nbsp; <span class="pageNumber"></span></div>')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 1000})
        page.set_default_timeout(600_000)
        page.emulate_media(media="print")
        page.goto(source.as_uri(), wait_until="load")
        page.evaluate("async () => { await MathJax.startup.promise; await document.fonts.ready; }")
        page.evaluate(FIT)
        page.pdf(path=target, format="A4", print_background=True, outline=True, tagged=True, display_header_footer=True,
                 header_template="<span></span>", footer_template=footer,
                 margin={"top": f"{PAPER['top']}mm", "bottom": f"{PAPER['bottom']}mm",
                         "left": f"{PAPER['side']}mm", "right": f"{PAPER['side']}mm"})
        browser.close()


def headings(page: str) -> list[str]:
    """Return the titles of the joined page, in order, as they stand in the text."""
    found = BeautifulSoup(page, "html.parser").find_all(re.compile("^h[1-6]$"))
    return [" ".join(title.get_text().split()) for title in found]


def finish(source: Path, target: Path, titles: list[str]) -> None:
    """Say in the file what it is, and set its outline right: Chromium repeats words there, and joins them at line ends.

    Raises
    ------
    ValueError
        If the outline hasn't as many entries as there are titles.
    """
    from pypdf import PdfWriter
    from pypdf.generic import NameObject, TextStringObject

    def entries(parent: Any) -> Iterator[Any]:
        entry = parent.get("/First")
        while entry is not None:
            entry = entry.get_object()
            yield entry
            yield from entries(entry)
            entry = entry.get("/Next")

    writer = PdfWriter(clone_from=source)
    outline = list(entries(writer.root_object["/Outlines"]))
    if len(outline) != len(titles):
        raise ValueError(f"the outline of the PDF has {len(outline)} entries, and the book {len(titles)} titles")
    for entry, title in zip(outline, titles, strict=True):
        entry[NameObject("/Title")] = TextStringObject(title)
    writer.add_metadata({"/Author": "The minivit authors", "/Subject": f"Version {version()}, {in_words(date())}"})
    write_whole(target, writer.write)


def can_print() -> bool:
    """Return whether there is a Chromium; say what is missing if there is none."""
    if find_browser():
        return True
    print(f"The PDF is printed by Chromium, and none of {', '.join(NAMES)} is installed. Install one, for example "
          "with `apt-get install chromium`, or open the HTML in any browser and print it.", file=sys.stderr)
    return False


def make_pdf(source: Path, target: Path, name: str) -> None:
    """Print a page with formulas as a PDF, with an outline of its headings."""
    printed = source.with_suffix(".printed.pdf")
    print_page(find_browser(), source, printed, name)
    finish(printed, target, headings(source.read_text(encoding="utf-8")))
    printed.unlink()
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def main() -> int:
    if not can_print():
        return 1
    JOINED.parent.mkdir(parents=True, exist_ok=True)
    JOINED.write_text(joined(HTML), encoding="utf-8")
    RELEASE.mkdir(parents=True, exist_ok=True)
    make_pdf(JOINED, RELEASE / f"{release_name()}.pdf", BOOK)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
