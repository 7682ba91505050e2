"""Put the editions beside the rest of the teaching kit, and write the page that leads to all of it."""

import html
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tools.notebooks import in_order, replace, title_of
from tools.outline import assignments
from tools.paths import BUILD, TEACH
from tools.version import BOOK, date, in_words, version

EDITIONS = BUILD / "editions"

# What belongs to the kit: the command of make, the file to open, its name, and what it's for.
PARTS = [
    ("slides", "slides/index.html", "Slides", "a deck for each lesson; the key S opens the speaker's view"),
    ("guide", "guide.html", "Instructor's guide",
     "plans, misconceptions, what to draw, setting up a class, and what each chapter costs"),
    ("answers", "answers.html", "Answer booklet", "all solutions; for teachers only"),
    ("assignments", "assignments", "Assignments", "the students' versions, and a zip of each"),
    ("editions", "editions/learner", "Learner's edition", "the chapters as notebooks, without solutions and outputs"),
    ("editions", "editions/instructor", "Instructor's edition", "the chapters with solutions, outputs and notes"),
]

PAGE = """\
<!DOCTYPE html>
<html lang="en"><head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Teaching kit: {book}, version {version}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }}
li {{ margin: .6rem 0; }}
li li {{ break-inside: avoid; margin: 0 0 .3rem; }}
ul ul {{ columns: 18rem; list-style: none; padding: 0; }}
</style></head>
<body>
<h1>Teaching kit</h1>
<p>{book}, version {version}, {date}. Nothing here needs a network.</p>
<ul>
{entries}
</ul>
<p>The syllabi, the lessons' plans and the projects are in the folder <code>course</code> of the repository;
<code>course/README.md</code> says what to do before Monday.</p>
</body></html>
"""


def titles() -> dict[str, str]:
    """Return the titles of chapters and assignments in their order, by the last two parts of their paths."""
    found = {}
    for number, path in [*in_order(), *enumerate(assignments(), start=1)]:
        title = title_of(nbformat.read(path, as_version=4))
        found[f"{path.parent.name}/{path.name}"] = f"{number}. {title}" if number else title
    return found


def link(kit: Path, file: Path, words: str) -> str:
    return f'<a href="{html.escape(file.relative_to(kit).as_posix())}">{html.escape(words)}</a>'


def entries(kit: Path) -> Iterator[str]:
    """Return a line for each part of the kit, with its files as folders have no page of their own.

    Raises
    ------
    FileNotFoundError
        Naming the command that makes a missing part.
    """
    called = titles()
    order = list(called)
    for command, place, title, about in PARTS:
        if not (kit / place).exists():
            raise FileNotFoundError(f"{kit / place} isn't there: make {command}")
        if not (kit / place).is_dir():
            printed = (kit / place).with_suffix(".pdf")
            pdf = f", {link(kit, printed, 'PDF')}" if printed.exists() else ""
            yield f"<li>{link(kit, kit / place, title)}{pdf}<br>{html.escape(about)}</li>"
            continue
        found = {f"{it.parent.name}/{it.name}": it for it in sorted((kit / place).rglob("*.ipynb"))
                 if ".ipynb_checkpoints" not in it.parts}
        files = []
        for end, file in sorted(found.items(), key=lambda it: order.index(it[0]) if it[0] in order else len(order)):
            packed = file.parent.with_suffix(".zip")
            zipped = f" ({link(kit, packed, 'zip')})" if packed.exists() else ""
            files.append(f"<li>{link(kit, file, called.get(end, file.stem))}{zipped}</li>")
        yield f"<li><strong>{html.escape(title)}</strong>: {html.escape(about)}<ul>{''.join(files)}</ul></li>"


def make_kit(kit: Path, editions: Path) -> Path:
    """Copy the editions into the kit, and return the page that leads to everything in it."""
    shutil.rmtree(kit / "editions", ignore_errors=True)
    if editions.exists():
        shutil.copytree(editions, kit / "editions")
    page = PAGE.format(book=BOOK, version=version(), date=in_words(date()), entries="\n".join(entries(kit)))
    replace(kit / "index.html", page)
    return kit / "index.html"


def main() -> int:
    try:
        print(f"Open {make_kit(TEACH, EDITIONS)}")
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
