"""Print the book as one PDF: the built pages are joined to one page, unfolded, which Chromium prints.

One page, and not a PDF for each chapter joined later, so that every link leads to its place, the pages are numbered
through, and the outline has all headings.
"""

import html
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from tools.paper import on_paper
from tools.paths import BUILD, RELEASE, ROOT
from tools.printing import can_print, make_pdf
from tools.version import BOOK, date, in_words, release_name, version

HTML = BUILD / "html"
JOINED = BUILD / "pdf" / "book.html"
ELSEWHERE = re.compile(r"[a-z]+:|#|$")  # an address that no page of the book has

TITLE_PAGE = """\
<section class="title-page">
{logo}
<h1>{title}</h1>
<p class="subtitle">Vision Transformers from scratch</p>
<p>The minivit authors</p>
<p>Version {version}, {date}</p>
<p>Text and figures under CC BY 4.0, code under the MIT licence</p>
</section>
"""


# What stands at the top of a chapter's pages: its part and its name.
HEAD = "@page chapter-{number} {{ @top-left {{ content: {part} }} @top-right {{ content: {title} }} }}\n"


def places(contents: Tag) -> Iterator[tuple[str, str]]:
    """Return what the contents in the sidebar list: captions, each with an empty address, and titles with theirs."""
    for entry in contents.select("p.caption, li.toctree-l1 > a"):
        yield " ".join(entry.get_text(" ", strip=True).split()), entry.get("href", "")


def title_page(title: str) -> str:
    """Return the title page of the book, which is also the cover of the EPUB."""
    logo = (ROOT / "book" / "_static" / "logo.svg").read_text(encoding="utf-8")
    return TITLE_PAGE.format(logo=logo, title=title, version=version(), date=in_words(date()))


def in_css(text: str) -> str:
    """Return a text as a string of CSS within an HTML page."""
    return json.dumps(text, ensure_ascii=False).replace("<", r"\3c ")


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
    contents, chapters, heads, part = [], [], [], ""
    for title, address in places(first.select_one("nav.bd-links")):
        if not address:
            part = title
            contents.append(f'</ul><p class="part">{html.escape(part)}</p><ul>')
            continue
        page = "intro.html" if address == "#" else address
        body = chapter(page, (folder / page).read_text(encoding="utf-8"))
        sections = "".join(f'<li><a href="#{section.parent["id"]}">{section.decode_contents()}</a></li>'
                           for section in body("h2"))
        contents.append(f'<li><a href="#{page}">{html.escape(title)}</a><ul>{sections}</ul></li>')
        number = len(chapters) + 1
        heads.append(HEAD.format(number=number, part=in_css(part), title=in_css(title)))
        body["style"] = f"page: chapter-{number}"
        body["data-part"] = part
        chapters.append(str(body))
    sheets = "".join(f'<link rel="stylesheet" href="../html/{path.relative_to(folder).as_posix()}">\n' for path in (
        folder / "_static/styles/theme.css", folder / "_static/styles/pydata-sphinx-theme.css",
        folder / "_static/pygments.css", folder / "_static/styles/sphinx-book-theme.css",
        *sorted(folder.glob("_static/mystnb.*.css")), folder / "_static/book.css"))
    math = json.dumps({"options": {"processHtmlClass": "math", "enableMenu": False}})
    return (f'<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light" class="whole-book"><head>\n'
            f'<meta charset="utf-8"><title>{book} {version()}</title>\n{sheets}'
            f"<style>\n{''.join(heads)}</style>\n"
            f"<script>window.MathJax = {math}</script>\n"
            f'<script defer src="../html/_static/mathjax/tex-chtml.js"></script></head>\n<body class="bd-content">\n'
            f'{title_page(book)}<nav class="whole-contents"><h1>Contents</h1>'
            f"<div><ul>{''.join(contents)}</ul></div></nav>\n"
            f"{''.join(chapters)}</body></html>\n")


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
