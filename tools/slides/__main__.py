"""Write the slides of the book's chapters to _build/teach/slides, to be shown without a network.

nbconvert makes them from what :mod:`tools.slides.deck` makes of a chapter. What all share lies beside them in
``shared``: reveal.js with its speaker view, MathJax, a style sheet and a script.
"""

import argparse
import html
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml
from bs4 import BeautifulSoup
from nbconvert import SlidesExporter

from tools.document import code_colours, package_folder
from tools.epub import TAG, mathml
from tools.notebooks import replace, title_of
from tools.numbers import html_well_set
from tools.pages import smaller_frame
from tools.paths import ROOT, TEACH
from tools.slides.deck import SlideError, lesson_numbers, read_deck

HERE = Path(__file__).parent
SLIDES = TEACH / "slides"
SHARED = "shared"
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$]+?)\$", re.DOTALL)
PLOT = re.compile(r"(data:image/(?:png|webp);base64,)([A-Za-z0-9+/=\n]+)")

INDEX = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Slides: {book}</title>
<link rel="stylesheet" href="{shared}/slides.css"></head>
<body class="index"><main>
<h1>Slides</h1>
<p><em>{book}</em>: {count}, made from the chapters. Nothing here needs a network.</p>
<ol>
{entries}
</ol>
<p>Turn pages with the arrow keys, Space or a presenter. <kbd>S</kbd> opens the speaker's view: notes, a clock and the
next slide. <kbd>F</kbd> fills the screen, <kbd>O</kbd> shows all slides, <kbd>B</kbd> makes the screen dark. In a live
figure the arrow keys move its sliders; <kbd>Esc</kbd> gives them back to the slides. To print slides, or to make a PDF,
add <code>?print-pdf</code> to their address and print that page.</p>
</main></body></html>
"""


def write_shared(folder: Path) -> None:
    """Copy what all decks share: of reveal.js and of MathJax what a deck fetches, and nothing else."""
    reveal = package_folder("sphinx_revealjs") / "_static" / "revealjs"
    mathjax = package_folder("sphinx-mathjax-offline") / "static" / "mathjax"
    copies = {reveal / "dist/reveal.js": "", reveal / "dist/reveal.css": "", reveal / "plugin/notes/notes.js": "",
              reveal / "LICENSE": "", HERE / "start.js": "", mathjax / "tex-chtml.js": "mathjax"}
    copies[mathjax / "input/tex/extensions/boldsymbol.js"] = "mathjax/input/tex/extensions"  # fetched at a \boldsymbol
    fonts = mathjax.glob("output/chtml/fonts/*/*.woff")
    copies |= {font: f"mathjax/{font.parent.relative_to(mathjax).as_posix()}" for font in fonts}
    for source, under in copies.items():
        target = folder / under / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    colours = code_colours(".highlight", ":root:not(.print-pdf) .highlight")
    rules = (HERE / "slides.css").read_text(encoding="utf-8") + colours
    (folder / "slides.css").write_text(rules, encoding="utf-8")


def in_mathml(formula: re.Match) -> str:
    tex = formula[1] or formula[2]
    tags = "".join(f" ({tag})" for tag in TAG.findall(tex))
    return mathml(TAG.sub("", tex), "block" if formula[1] else "inline") + tags


def with_plain_notes(page: str) -> str:
    """Set the formulas of the speaker's notes in MathML: they are read in a window that has no MathJax."""
    def notes(aside: re.Match) -> str:
        soup = BeautifulSoup(aside[0], "html.parser")
        for text in soup.find_all(string=FORMULA):
            if not text.find_parent(["code", "pre"]):
                text.replace_with(BeautifulSoup(FORMULA.sub(in_mathml, str(text)), "html.parser"))
        return str(soup)

    return re.sub(r'<aside class="notes">.*?</aside>', notes, page, flags=re.DOTALL)


def page_of(deck: nbformat.NotebookNode) -> str:
    """Return the page that shows a deck."""
    exporter = SlidesExporter(
        template_name="minivit", extra_template_basedirs=[str(HERE / "template")], reveal_url_prefix=SHARED,
        mathjax_url=f"{SHARED}/mathjax/tex-chtml.js", exclude_input_prompt=True, exclude_output_prompt=True,
        exclude_anchor_links=True)
    page, _ = exporter.from_notebook_node(deck)
    return PLOT.sub(smaller_frame, html_well_set(with_plain_notes(page))) + "\n"


def chosen(names: list[str]) -> Iterator[Path]:
    """Return the paths of the chapters with these names, or of all.

    Raises
    ------
    SlideError
        If a name isn't a chapter's.
    """
    lessons = {Path(path).stem: ROOT / path for path in lesson_numbers()}
    for name in names or lessons:
        if name not in lessons:
            raise SlideError(f"{name!r} is no lesson of the book; known: {', '.join(lessons)}")
        yield lessons[name]


def write_index(folder: Path, book: str) -> None:
    """Write the list of the decks that are there."""
    entries = []
    for path, number in lesson_numbers().items():
        name = Path(path).stem
        if (folder / f"{name}.html").exists():
            title = title_of(nbformat.read(ROOT / path, as_version=4))
            entries.append(f'<li value="{number}"><a href="{name}.html">{html.escape(title)}</a></li>')
    count = "1 lesson" if len(entries) == 1 else f"{len(entries)} lessons"
    page = INDEX.format(book=html.escape(book), shared=SHARED, count=count, entries="\n".join(entries))
    replace(folder / "index.html", page)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.slides", description="Write the slides of chapters.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a lesson, such as softmax_jacobian; without any, all")
    names = parser.parse_args().names
    book = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    try:
        decks = {path.stem: read_deck(path, book) for path in chosen(names)}
    except SlideError as error:
        print(error, file=sys.stderr)
        return 1
    if bare := [name for name in names if decks[name] is None]:
        print(f"{', '.join(bare)}: no slide_type; CONTRIBUTING.md says how slides are written", file=sys.stderr)
        return 1
    if not names:
        shutil.rmtree(SLIDES, ignore_errors=True)
    write_shared(SLIDES / SHARED)
    written = {name: deck for name, deck in decks.items() if deck is not None}
    for name, deck in written.items():
        replace(SLIDES / f"{name}.html", page_of(deck))
    write_index(SLIDES, book)
    print(f"{len(written)} of {len(decks)} lessons have slides. Open {SLIDES / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
