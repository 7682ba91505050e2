"""Write the book as an EPUB: by Sphinx's builder, with formulas in MathML, live figures drawn, and nothing to press.

This is also the Sphinx extension that does so.
"""

import base64
import hashlib
import html
import io
import re
import shutil
import sys
import unicodedata
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from latex2mathml.converter import convert
from PIL import Image
from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder
from sphinx.util.math import get_node_equation_number

from minivit.files import write_whole
from tools.book import build_pages, outputs_are_stored, settings
from tools.browsers import find_browser
from tools.pages import smaller
from tools.paper import on_paper
from tools.paths import BUILD, RELEASE, ROOT
from tools.pdf import title_page
from tools.stills import Stills
from tools.together import is_long
from tools.version import BOOK, date, in_words, release_name, version

FOR_PAGES = {"sphinx-mathjax-offline", "sphinx_book_theme", "sphinx_copybutton", "sphinx_togglebutton", "tools.search",
             "tools.site"}
SHEETS = {"_static/pygments.css", "_static/epub.css", "_static/book.css"}
COVER = "_static/cover.png"
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)  # of TeX
OPENS, CLOSES = {"{", "(", r"\left", r"\begin"}, {"}", ")", r"\right", r"\end"}
RELATIONS = {"=", "<", ">", r"\le", r"\ge", r"\approx", r"\lesssim", r"\Rightarrow", r"\implies", r"\iff"}
VARIANT = re.compile('<(m[in]) mathvariant="(bold|bold-italic|double-struck)">([^<]+)<')
TAG = re.compile(r"\\tag\{([^{}]*)\}")
FRAME = re.compile(r"data:image/\w+;base64,(.*)", re.DOTALL)


def for_epub(book: dict) -> dict:
    """Return Jupyter Book's settings for the EPUB: those of the pages, without what only works in a browser."""
    config = dict(book["sphinx"]["config"])
    config["extensions"] = [name for name in config["extensions"] if name not in FOR_PAGES] + ["tools.epub"]
    for name in ("html_theme_options", "mathjax3_config", "templates_path", "launch_notebooks"):
        config.pop(name, None)
    config |= {
        "html_math_renderer": "mathml", "epub_basename": release_name(), "epub_title": f"{book['title']} {version()}",
        "epub_author": book["author"], "epub_publisher": book["author"], "epub_contributor": book["author"],
        "epub_copyright": "CC BY 4.0", "html_title": book["title"],
        "epub_description": f"Version {version()}, {in_words(date())}", "epub_identifier": release_name(),
        "epub_scheme": "ID", "epub_uid": release_name(), "epub_show_urls": "no",
        "epub_tocscope": "includehidden",  # the chapters are named beside the text, not in it
        "epub_use_index": False, "version": version(), "pygments_style": "a11y-high-contrast-light",
    }
    return book | {"sphinx": book["sphinx"] | {"config": config}}


def letters(style: str, text: str) -> str:
    """Return letters in a style as letters of their own, because browsers no longer know MathML's styles."""
    style = style.upper().replace("BOLD-", "BOLD ")

    def styled(letter: str) -> str:
        name = re.sub("LATIN |GREEK |LETTER ", "", unicodedata.name(letter))
        return unicodedata.lookup(f"MATHEMATICAL {style} {name}") if letter.isalnum() else letter

    return "".join(map(styled, html.unescape(text)))


def mathml(tex: str, display: str) -> str:
    """Return a formula as MathML, with TeX as the text for readers that can't show it.

    Raises
    ------
    ValueError
        If the converter leaves a command or a mark of TeX as it is.
    """
    made = convert(tex.replace("{aligned}", "{split}"), display=display)  # the converter's name for it
    made = VARIANT.sub(lambda found: f"<{found[1]}>{letters(*found.group(2, 3))}<", made)
    if "\\" in made or "<mi>&</mi>" in made:
        raise ValueError(f"no MathML for {tex!r}")
    return made.replace("<math ", f'<math alttext="{html.escape(tex)}" ', 1)


def divided(tex: str, at: set[str]) -> list[str]:
    """Return the parts of a formula: each but the first begins with one of some signs, which is in no bracket."""
    parts, depth = [""], 0
    for sign in TOKEN.findall(tex):
        if sign in at and not depth:
            parts.append("")
        parts[-1] += sign
        depth = max(0, depth + (sign in OPENS) - (sign in CLOSES))
    return [part for part in parts if part.strip()]


def in_lines(tex: str, display: str) -> str:
    """Return a formula as MathML that can go on in the next line before a relation, where a browser divides none."""
    made = "\u200b".join(mathml(part, display) for part in divided(tex, RELATIONS))
    return made.replace('display="block"', 'display="inline" displaystyle="true"')


def visit_math(self: Any, node: nodes.math) -> None:
    self.body.append(in_lines(node.astext(), "inline") if is_long(node.astext()) else mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    tex, tags = TAG.sub("", node.astext()), TAG.findall(node.astext())
    if node["number"]:
        tags = [get_node_equation_number(self, node)]
    if not node.get("nowrap") and re.search(r"\\\\|&", tex) and "\\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    number = f'<span class="eqno">({tags[0]})</span>' if tags else ""
    ids = f' id="{node["ids"][0]}"' if node["ids"] else ""
    formulas = [part.removeprefix(r"\qquad").removeprefix(r"\quad") for part in divided(tex, {r"\qquad", r"\quad"})]
    made = " ".join(f"<span>{in_lines(formula, 'block')}</span>" for formula in formulas)
    self.body.append(f'<div class="math"{ids}>{number}{made}</div>\n')
    raise nodes.SkipNode


class Numbered(Epub3Builder):
    """Sphinx's builder, with the numbers of the chapters in the table of contents."""

    def get_toc(self) -> None:
        super().get_toc()
        for entry in self.refnodes:
            sections = self.env.toc_secnumbers.get(entry["refuri"].removesuffix(self.out_suffix), {})
            if number := sections.get(""):
                entry["text"] = f"{'.'.join(map(str, number))}. {entry['text']}"


def stored(app: Sphinx, source: str) -> str:
    """Write the image of a ``data:`` address to a file, as PNG, which every reader knows, and return its name."""
    image = base64.b64decode(FRAME.fullmatch(source)[1])
    name = f"_images/{hashlib.sha256(image).hexdigest()[:16]}.png"
    buffer = io.BytesIO()
    Image.open(io.BytesIO(image)).save(buffer, format="PNG", optimize=True)
    path = Path(app.outdir, name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return name


def for_readers(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any, *,
                stills: Stills) -> None:
    """Make a page's body such as an e-book may hold: well-formed, without scripts."""
    context["css_files"] = [sheet for sheet in context["css_files"] if sheet.filename in SHEETS]
    if not context.get("body"):
        return
    soup = BeautifulSoup(context["body"], "html.parser")
    on_paper(soup, soup)
    for figure in soup.select(".live-figure"):  # whose words say what it shows, with a picture or without one
        stills.put(soup, figure)
    for left_out in soup.select("script, style"):
        left_out.decompose()
    for image in soup("img", src=FRAME):
        image["src"] = "../" * pagename.count("/") + stored(app, image["src"])
    context["body"] = soup.decode(formatter="minimal")


def draw_cover(app: Sphinx, stills: Stills) -> None:
    """Let the title page of the PDF be the cover."""
    cover, style = Path(app.outdir, COVER), (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    cover.parent.mkdir(parents=True, exist_ok=True)
    stills.draw(title_page(BOOK), style, cover)
    app.config.epub_cover = (COVER, "epub-cover.html")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_builder(Numbered, override=True)
    stills = Stills(find_browser())
    if stills.program:
        app.connect("builder-inited", partial(draw_cover, stills=stills))
    app.connect("html-page-context", partial(for_readers, stills=stills), priority=900)
    app.connect("build-finished", lambda *_: stills.close())
    return {"parallel_read_safe": True, "parallel_write_safe": False}  # all pages share one browser


def finish(source: Path, target: Path) -> None:
    """Copy an EPUB with smaller plots, and say of each page with formulas that it has some, for readers to know.

    Sphinx packs the file before an extension can reach the plots that it copied.
    """
    def declared(item: re.Match) -> str:
        return f'{item[0]} properties="mathml"' if b"<math " in book.read(item[1]) else item[0]

    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as copy:
            for name in book.infolist():
                content = book.read(name)
                if name.filename == "content.opf":
                    pages = re.sub(r'<item id="[^"]*" href="([^"]*\.xhtml)"', declared, content.decode())
                    content = pages.encode()
                elif name.filename.endswith(".png"):
                    content = smaller(content)
                copy.writestr(name, content)

    with zipfile.ZipFile(source) as book:
        write_whole(target, write)


def main() -> int:
    if not outputs_are_stored(ROOT):
        return 1
    if not find_browser():
        print("Live figures are drawn by Chromium, and there is none: the EPUB has their words alone.", file=sys.stderr)
    folder = BUILD / "epub"
    shutil.rmtree(folder, ignore_errors=True)  # all that lies there goes into the file
    if not build_pages(ROOT, folder, for_epub(settings(ROOT)), "epub"):
        return 1
    RELEASE.mkdir(parents=True, exist_ok=True)
    target = RELEASE / f"{release_name()}.epub"
    finish(folder / "epub" / target.name, target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
