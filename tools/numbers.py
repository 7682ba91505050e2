"""How a page sets numbers, apostrophes and quotation marks; for the book's pages this is a Sphinx extension.

Cells print numbers as Python does. On a page a minus sign is as wide as a plus, and isn't a hyphen, at which a line may
end; powers of ten are written as such; a per cent sign stands off.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools.together import SPACE, set_texts

MINUS = re.compile(r"(?<![^\s\[(/“≈±])-(?=\.?\d)")  # not within 8-10 or ViT-2
POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?)0*(\d+)\b")  # 1e-05
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Of HTML, what isn't text: tags, scripts, code, formulas.
KEPT = re.compile(r"<(script|style|pre|code)\b.*?</\1>|<[^>]*>|\$\$.+?\$\$|\$[^$]+\$|\\\(.+?\\\)|\\\[.+?\\\]"
                  r"|\\begin\{(\w+\*?)\}.+?\\end\{\2\}", re.DOTALL)


def power(found: re.Match) -> str:
    factor, sign, exponent = found.groups()
    ten = "10" + (sign.strip("+") + exponent).translate(RAISED)
    return ten if factor == "1" else f"{factor}{SPACE}×{SPACE}{ten}"


def well_set(text: str) -> str:
    """Return a text with its numbers and apostrophes as a printer sets them."""
    text = re.sub(r"(?<=\d)%", f"{SPACE}%", MINUS.sub("−", POWER.sub(power, text)))
    return re.sub(r"(?<=\w)'(?=\w)", "’", text)


def with_quotes(text: str) -> str:
    """Return a piece of a page's text, up to a tag, with the quotation marks of a printer."""
    text = text.replace("&quot;", '"').replace("&#39;", "'")
    return re.sub(r'(?<![^\s(\[])"(?=[\w(−-]|$)(?!^"$)', "“", text).replace('"', "”")


def html_well_set(html: str) -> str:
    """Return HTML whose text has numbers, apostrophes and quotation marks as a printer sets them."""
    parts, place = [], 0
    for kept in KEPT.finditer(html):
        parts += [well_set(with_quotes(html[place:kept.start()])), kept[0]]
        place = kept.end()
    return "".join([*parts, well_set(with_quotes(html[place:]))])


class SetNumbers(SphinxPostTransform):
    """Set numbers and apostrophes, before ``tools.together`` binds them to their neighbours."""

    default_priority = 890

    def run(self, **kwargs: Any) -> None:
        set_texts(self.document, well_set)
        for raw in list(self.document.findall(nodes.raw)):
            if "html" in raw.get("format", ""):
                raw[:] = [nodes.Text(html_well_set(raw.astext()))]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(SetNumbers)
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
