"""A chapter links a word of the glossary where it first uses it, so that a reader may begin with any chapter."""

import re
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import notebook_paths, tags
from tools.paths import ROOT

GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8").partition(":::{glossary}\n")[2]
TERMS = [line for line in GLOSSARY.splitlines() if line and not line.startswith((" ", ":"))]
# A page that linked these wherever they stand would be restless, and the test would take plain English for terms:
PLAIN_ENGLISH = ("block density head kernel key patch position power projection query residual scale score shard skip "
                 "temperature token value weight").split() + ["less attention"]
# What a first course on machine learning teaches, or the title of the book:
FIRST_COURSE = ["accuracy", "batch", "dropout", "entropy", "epoch", "gradient", "gradient descent", "held-out images",
                "logit", "loss", "MLP", "parameter", "softmax", "tensor", "ViT"]
PAGES = [path for path in notebook_paths(ROOT) if path.stem != "check_yourself"]  # who takes a test knows the words
NOT_PROSE = re.compile(
    r"^#[^\n]*"                                # headings
    r"|\$\$.*?\$\$|\$[^$]+?\$|`[^`\n]*`"       # formulas, code
    r"|\[[^\]]*\]\((?!<?#)[^)]*\)"             # links to chapters
    r"|(?<!\*)\*(?!\*)[A-Z][^*]*\*(?!\*)",     # their titles
    re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(<?#([^)>]*)>?\)")


def prose(path: Path) -> str:
    """Return what a reader of the page reads on the way to the references."""
    cells = (cell.source for cell in nbformat.read(path, as_version=4).cells
             if cell.cell_type == "markdown" and "instructor" not in tags(cell))
    return NOT_PROSE.sub("", "\n\n".join(cells).partition("**References**")[0])


def first_uses(term: str, text: str) -> tuple[int, int]:
    """Return where a text first has a term, and where it first links it or explains it, in bold."""
    word = r"(?<![\w-])" + r"[\s-]".join(map(re.escape, term.split()))
    case = 0 if term[0].isupper() else re.IGNORECASE
    named = (term.lower(), re.sub(r"\W+", "-", term.lower()))
    explained = [link.start() for link in LINK.finditer(text) if link[1] in named]
    explained += [bold.start() for bold in re.finditer(rf"\*\*[^*]*{word}[^*]*\*\*", text, re.IGNORECASE)]
    used = re.finditer(rf"{word}(?:s|es)?(?!\w)", LINK.sub(lambda link: " " * len(link[0]), text), case)
    return next((use.start() for use in used), len(text)), min(explained, default=len(text))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_first_use_of_a_word_is_a_link(path):
    text = prose(path)
    for term in set(TERMS) - {*PLAIN_ENGLISH, *FIRST_COURSE}:
        used, explained = first_uses(term, text)
        assert explained <= used, f"link the first {term!r}: ... {' '.join(text[used - 60:used + 60].split())} ..."


def test_the_words_that_need_no_link_are_in_the_glossary():
    assert {*PLAIN_ENGLISH, *FIRST_COURSE} <= set(TERMS)
