"""A Sphinx extension: what a site has beside its pages.

Each page says its version and how to cite it, and what it is about to search engines. With the site's address there are
also a social card for each page, a sitemap, and a page for addresses that lead nowhere.
"""

import hashlib
import html
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from tools.search import sections
from tools.version import BOOK, FULL_TITLE, date, in_words, version

CARD = (1200, 630)  # pixels


def description(document: nodes.document, length: int = 200) -> str:
    """Return how a page begins, up to the end of a word."""
    (_, _, text, _), *_ = sections(document) or [("", "", "", "")]
    return textwrap.shorten(text, length, placeholder=" …")


def citation(page: str, title: str, number: str, address: str) -> str:
    """Return the entry of BibTeX for a page; ``number`` and ``address`` may be empty."""
    part = f"Chapter {number} of {FULL_TITLE}" if number else f"In {FULL_TITLE}"
    fields = {"author": "{The minivit authors}", "title": title, "howpublished": f"{part}, version {version()}",
              "year": str(date().year)}
    if address:
        fields["url"] = address
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{minivit:{page.rpartition('/')[2]},", *lines, "}"])


def meta(kind: str, name: str, content: str) -> str:
    return f'<meta {kind}="{name}" content="{html.escape(content)}" />\n'


def social_tags(title: str, about: str, address: str, image: str) -> str:
    """Return what social networks read of a page."""
    tags = {"og:type": "article", "og:site_name": FULL_TITLE, "og:title": title, "og:description": about,
            "og:url": address, "og:image": image, "og:image:alt": f"The title: {title}", "og:image:width": str(CARD[0]),
            "og:image:height": str(CARD[1])}
    return "".join(meta("property", *tag) for tag in tags.items()) + meta("name", "twitter:card", "summary_large_image")


def card_of(page: str) -> str:
    return f"_images/card-{page.replace('/', '-')}.png"


def draw_card(path: Path, title: str) -> None:
    """Draw the picture that a link to a page is shown with: the book's sign, the title of the page and the book's."""
    from matplotlib.figure import Figure

    dpi = 100
    figure = Figure(figsize=(CARD[0] / dpi, CARD[1] / dpi), dpi=dpi, facecolor="#14202c")
    sign = figure.add_axes((0.065, 0.62, 0.13, 0.25))
    near = [[max(0, 4 - abs(row - column)) for column in range(5)] for row in range(5)]
    sign.imshow(near, cmap="Blues", vmin=-2, vmax=5)
    sign.axis("off")
    lines = textwrap.wrap(title, 30)[:3]
    figure.text(0.07, 0.40, "\n".join(lines), color="white", fontsize=38, fontweight="bold", va="center",
                linespacing=1.25)
    figure.text(0.07, 0.1, BOOK, color="#9ecae1", fontsize=22)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give a page its version, its citation and the tags in its head."""
    context["book_version"] = app.config.book_version
    base = app.config.html_baseurl
    if pagename == "404" and base:  # shown at any address: its links start from the home page
        context["metatags"] = f'<base href="{html.escape(base)}" />\n' + context.get("metatags", "")
    if doctree is None or app.builder.name != "html":
        return
    title = app.env.titles[pagename].astext()
    number = ".".join(map(str, app.env.toc_secnumbers.get(pagename, {}).get("", ())))
    address = base + app.builder.get_target_uri(pagename) if base else ""
    about = description(doctree)
    context["book_citation"] = citation(pagename, title, number, address)
    context["metatags"] += meta("name", "description", about)
    if base:
        context["metatags"] += social_tags(title, about, address, base + card_of(pagename))


def not_found(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    if app.builder.name == "html":
        yield "404", {}, "404.html"


def sitemap(addresses: list[str]) -> str:
    urls = "".join(f"  <url><loc>{html.escape(address)}</loc></url>\n" for address in addresses)
    return ('<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
            f"{urls}</urlset>\n")


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write the sitemap and draw the cards, whose addresses must be whole."""
    base = app.config.html_baseurl
    if error or not base or app.builder.name != "html":
        return
    pages = sorted(app.env.found_docs)
    addresses = [base + app.builder.get_target_uri(page) for page in pages]
    Path(app.outdir, "sitemap.xml").write_text(sitemap(addresses), encoding="utf-8")
    for page in pages:
        draw_card(Path(app.outdir, card_of(page)), app.env.titles[page].astext())


def static_digest(folders: list[Path]) -> str:
    """Return a digest of the files in these folders, which changes when one of them does."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def note_static(app: Sphinx, config: Config) -> None:
    config.book_static = static_digest([Path(app.confdir, folder) for folder in config.html_static_path])


def setup(app: Sphinx) -> dict[str, Any]:
    # As options, these make Sphinx write every page again when they change. It would not otherwise copy a style sheet
    # that has changed alone; and every page names the version of the style sheet that it was written with.
    app.add_config_value("book_version", f"Version {version()}, {in_words(date())}", "html")
    app.add_config_value("book_static", "", "html")
    app.connect("config-inited", note_static)
    app.connect("html-page-context", describe)
    app.connect("html-collect-pages", not_found)
    app.connect("build-finished", finish, priority=400)  # before the pages' pictures are made smaller
    return {"parallel_read_safe": True, "parallel_write_safe": True}
