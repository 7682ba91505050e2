"""Pack what was built into archives: the pages, to be read from a folder, and the notebooks with their outputs."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tools.archives import write_zip
from tools.book import outputs_are_stored
from tools.editions import reader_edition
from tools.notebooks import notebook_paths
from tools.paths import BUILD, RELEASE, ROOT
from tools.version import FULL_TITLE, date, in_words, release_name, version

NOT_READ = ("_sources/", ".buildinfo", "objects.inv", "searchindex.js", "sitemap.xml", "404.html", "lite/")

ABOUT = f"""\
{FULL_TITLE}
Version {{version}}, {{date}}

{{how}}

Text and figures under CC BY 4.0, code under the MIT licence.
"""
HOW = {
    "html": "Open index.html in a browser. Everything is in this folder: no network is needed.",
    "notebooks": "The chapters with the outputs of their last run. To run them, install the book's package, minivit,\n"
                 "from its repository; without it they can be read in any Jupyter.",
}


def pages() -> Iterator[tuple[str, bytes]]:
    """Return the built pages and all that they show, each with its path."""
    html = BUILD / "html"
    for path in sorted(html.rglob("*")):
        name = path.relative_to(html).as_posix()
        if path.is_file() and not name.startswith(NOT_READ):
            yield name, path.read_bytes()


def notebooks() -> Iterator[tuple[str, bytes]]:
    """Return the notebooks with their stored outputs, with hints that fold in any Jupyter."""
    for path in notebook_paths(ROOT):
        edition = reader_edition(nbformat.read(path, as_version=4))
        yield path.relative_to(ROOT / "book").as_posix(), nbformat.writes(edition).encode()


def pack(target: Path, files: Iterator[tuple[str, bytes]], about: str) -> None:
    """Write an archive with one folder in it, which says what it is."""
    write_zip(target, ((f"{target.stem}/{name}", content) for name, content in [("ABOUT.txt", about.encode()), *files]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=HOW)
    what = parser.parse_args().what
    if what == "html" and not (BUILD / "html" / "index.html").exists():
        print("The pages are not built: run make book.", file=sys.stderr)
        return 1
    if what == "notebooks" and not outputs_are_stored(ROOT):
        return 1
    target = RELEASE / f"{release_name()}-{what}.zip"
    about = ABOUT.format(version=version(), date=in_words(date()), how=HOW[what])
    pack(target, {"html": pages, "notebooks": notebooks}[what](), about)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
