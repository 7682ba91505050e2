"""A Sphinx extension: the index of the book's search, section by section, in a script that also loads from a disk.

Sphinx's own index knows pages only, and its excerpts are fetched, which browsers forbid for pages opened from a disk;
Pagefind's index is fetched too. This one is loaded like any script, on the search page alone.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

LEFT_OUT = (nodes.comment, nodes.raw, nodes.math_block, nodes.image, nodes.target, addnodes.toctree)
SIGNS = {"cdot": "·", "times": "×", "le": "≤", "ge": "≥", "in": "∈", "to": "→", "approx": "≈", "ne": "≠", "pm": "±",
         "sqrt": "√", "sum": "∑", "odot": "⊙", "infty": "∞", "partial": "∂", "ell": "ℓ", "lVert": "‖", "rVert": "‖"}
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def sign(command: re.Match) -> str:
    """Return the sign for a command of TeX: a Greek letter, one of `SIGNS`, a function's name, or nothing."""
    name = command[1]
    size = "SMALL" if name.islower() else "CAPITAL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.removeprefix('var').upper().replace('LAMBDA', 'LAMDA')}")
    except KeyError:
        return SIGNS.get(name, f"{name} " if name in ("ln", "log", "exp", "max", "min") else "")


def plain(tex: str) -> str:
    """Return a short formula as it can stand in a line of text."""
    text = re.sub(r"\\[td]?frac\s*(\{[^{}]*\}|\w)\s*(\{[^{}]*\}|\w)", r"\1/\2", tex)
    text = re.sub(r"\\[,;:! ]|~", " ", text)
    text = re.sub(r"\^\{?(-?\d+)\}?", lambda power: power[1].translate(RAISED), text.replace(r"^\top", "ᵀ"))
    text = re.sub(r"\\([A-Za-z]+)", sign, text)
    return re.sub(r"\s+", " ", re.sub(r"[{}\\]", "", text)).strip()


def sections(document: nodes.document) -> list[list[str]]:
    """Return an entry for each section and each word of a glossary: its id, its title, its text and its code.

    The title names the sections above it too, except the page. Outputs that a cell printed are left out.
    """
    entries: list[list[str]] = []

    def walk(node: nodes.Node, entry: list[list[str]], above: list[str]) -> None:
        if isinstance(node, LEFT_OUT):
            return
        if isinstance(node, nodes.Text):
            entry[0].append(node.astext())
        elif isinstance(node, nodes.math):
            entry[0].append(plain(node.astext()))
        elif isinstance(node, nodes.literal_block):
            if not any("cell_output" in holder.get("classes", []) for holder in holders(node)):
                entry[1].append(node.astext())
        elif isinstance(node, nodes.section):
            begin(node, node["ids"][0], [*above, node[0].astext()], node.children[1:])
        elif isinstance(node, nodes.definition_list_item) and node[0].get("ids"):
            begin(node, node[0]["ids"][0], [*above, node[0].astext()], node.children[1:])
        else:
            for child in node.children:
                walk(child, entry, above)
            if isinstance(node, (nodes.TextElement, nodes.entry, nodes.admonition)):
                entry[0].append("" if node.parent and isinstance(node, nodes.Inline) else " ")

    def begin(node: nodes.Element, anchor: str, titles: list[str], children: list[nodes.Node]) -> None:
        entry: list[list[str]] = [[], []]
        at = len(entries)
        entries.append([])
        for child in children:
            walk(child, entry, titles)
        text, code = (re.sub(r"\s+", " ", sep.join(parts)).strip() for sep, parts in zip(("", " "), entry, strict=True))
        entries[at] = [anchor, " › ".join(titles[1:]), text, code]

    walk(document, [[], []], [])
    return entries


def holders(node: nodes.Node) -> Iterator[nodes.Element]:
    while node := node.parent:
        yield node


def kept(app: Sphinx, pagename: str) -> Path:
    return Path(app.doctreedir, "sections", f"{pagename}.json")


def keep_sections(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Keep the sections of a page that is written, for the builds that write only other pages."""
    if doctree is None or app.builder.name != "html":
        return
    title = app.env.titles[pagename].astext()
    if number := app.env.toc_secnumbers.get(pagename, {}).get(""):
        title = f"{'.'.join(map(str, number))}. {title}"
    path = kept(app, pagename)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = [app.builder.get_target_uri(pagename), title, sections(doctree)]
    path.write_text(json.dumps(page, ensure_ascii=False), encoding="utf-8")


def write_index(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.name != "html":
        return
    pages = [path.read_text(encoding="utf-8") for path in map(lambda name: kept(app, name), sorted(app.env.found_docs))
             if path.exists()]
    script = "const BOOK_SECTIONS = [\n" + ",\n".join(pages) + "\n];\n"
    Path(app.outdir, "_static", "search-index.js").write_text(script, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", keep_sections)
    app.connect("build-finished", write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
