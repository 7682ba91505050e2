"""How a page sets numbers and apostrophes, which cells print as Python does; for the book's pages a Sphinx extension.

A minus sign is as wide as a plus and isn't a hyphen, at which a line may end; powers of ten are written as such; a per
cent sign stands off.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools.together import set_texts

MINUS = re.compile(r"(?<![^\s\[(/“≈±])-(?=\.?\d)")  # not within 8-10 or ViT-2
POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?)0*(\d+)\b")  # 1e-05
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# In HTML as a cell or an author wrote it, only the text: neither tags nor scripts.
APOSTROPHE = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>|(?<=\w)'(?=\w)", re.DOTALL)


def power(found: re.Match) -> str:
    factor, sign, exponent = found.groups()
    ten = "10" + (sign.strip("+") + exponent).translate(RAISED)
    return ten if factor == "1" else f"{factor} × {ten}"


def well_set(text: str) -> str:
    """Return a text with its numbers and apostrophes as a printer sets them."""
    text = MINUS.sub("−", POWER.sub(power, text))
    return re.sub(r"(?<=\w)'(?=\w)", "’", re.sub(r"(?<=\d)%", " %", text))


def with_apostrophes(html: str) -> str:
    """Return HTML whose text has the apostrophes that the text around it has."""
    return APOSTROPHE.sub(lambda found: "’" if found[0] == "'" else found[0], html)


class SetNumbers(SphinxPostTransform):
    """Set numbers and apostrophes, before ``tools.together`` binds them to their neighbours."""

    default_priority = 890

    def run(self, **kwargs: Any) -> None:
        set_texts(self.document, well_set)
        for raw in list(self.document.findall(nodes.raw)):
            if "html" in raw.get("format", ""):
                raw[:] = [nodes.Text(with_apostrophes(raw.astext()))]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(SetNumbers)
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
