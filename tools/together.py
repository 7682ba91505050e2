"""What a line may not tear apart; for the book's pages this is a Sphinx extension.

A browser may break a line on either side of a formula, even before the full stop that follows it. It may also leave a
per cent sign, a unit, or the upper end of an interval to the next line. Here a formula is bound to the brackets and
points that touch it, and a number to what it belongs to. Sources need no mark for it.
"""

import re
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

SPACE = "\N{NO-BREAK SPACE}"
SIGNED = r"[+\-−]?\d[\d.,]*"
BOUND = re.compile(
    r"(?<=\d) (?=[%★†‡]|(?:ms|µs|s|kB|MB|GB|MiB|GiB|k|M|G)\b)"  # 95 %, 15 GB, n = 3 ★
    r"|(?<=\b\w) (?==)(?== [+\-−]?\d)|(?<=\b\w =) (?=[+\-−]?\d)"  # n = 3
    rf"|(?<=\d,) (?={SIGNED}\])"  # [-0.5, +1.2]
    r"|(?<=\d) (?=± ?\d)|(?<=±) (?=\d)|(?<=\d) (?=× ?\d)|(?<=×) (?=\d)"  # 34.00 ± 0.62, 8 × 8
    r"|(?i:(?<=\bequation)|(?<=\bfigure)|(?<=\btable)|(?<=\bexercise)|(?<=\bsection)|(?<=\blayer)|(?<=\bpart)) "
    r"(?=\(?[\dIV])")  # equation (3)
BEFORE = re.compile(r"[^\s\w]{0,3}$")
AFTER = re.compile(r"^-?(?:\w{1,2}\b)?[^\s\w]{0,3}")  # also the rest of "the k-th"
SIGN = re.compile(r"\\[A-Za-z]+|[^\s{}_^\\]")  # of TeX, each about a letter wide
LONG = 18  # signs, which take about half of a line
VERBATIM = (nodes.FixedTextElement, nodes.literal, nodes.math, nodes.raw)


def bound(text: str) -> str:
    """Return a text with no-break spaces between a number and its sign, its unit or its name."""
    return BOUND.sub(SPACE, text)


def signs(left: str, right: str) -> tuple[str, str]:
    """Return what of the texts on either side of a formula touches it."""
    return BEFORE.search(left)[0], AFTER.search(right)[0]


def is_long(tex: str) -> bool:
    """Return whether a telephone's line may be too short for a formula."""
    return len(SIGN.findall(tex)) > LONG


def position(node: nodes.Node) -> int:
    """Return a node's place in its parent; docutils would take an equal text for it."""
    return next(place for place, child in enumerate(node.parent) if child is node)


def put(text: nodes.Text, new: str) -> None:
    if new != text:
        text.parent[position(text)] = nodes.Text(new)


def set_texts(document: nodes.document, change: Callable[[str], str]) -> None:
    """Change what is written in a document, but neither code nor formulas."""
    for text in list(document.findall(nodes.Text)):
        parent = text.parent
        while parent is not None and not isinstance(parent, VERBATIM):
            parent = parent.parent
        if parent is None:
            put(text, change(text))


class Bind(SphinxPostTransform):
    """Bind what belongs together, in text and around formulas in a line."""

    default_priority = 900

    def run(self, **kwargs: Any) -> None:
        for formula in list(self.document.findall(nodes.math)):
            self.bind(formula)
        set_texts(self.document, bound)

    @staticmethod
    def bind(formula: nodes.math) -> None:
        """Put a formula and the signs that touch it in one element; mark a formula that's long."""
        if is_long(formula.astext()):
            formula["classes"].append("long")
        parent, place = formula.parent, position(formula)
        left, right = parent[max(place - 1, 0)], parent[min(place + 1, len(parent) - 1)]
        before, after = signs(*(side if isinstance(side, nodes.Text) else "" for side in (left, right)))
        if before or after:
            parts = [nodes.Text(before), formula.deepcopy(), nodes.Text(after)]
            parent[place] = nodes.inline("", "", *parts, classes=["together"])
            if before:
                put(left, left.removesuffix(before))
            if after:
                put(right, right.removeprefix(after))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(Bind)
    return {"env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}
