"""How a page sets tables: numbers digit under digit, and sentences so that a telephone can show them.

For the book's pages this is a Sphinx extension. Sources need no mark for it.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

NUMBER = re.compile(
    r"[+−]?[\d,]*\.?\d+(?:[ \u00a0](?:[%kMG]|±[ \u00a0][\d.]+|×[ \u00a0]10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?|–|")
SENTENCE = 30  # letters in a cell, on average, from which on a table is read rather than looked up


def is_numbers(column: list[str]) -> bool:
    """Return whether a column, without its name, holds numbers alone; some may be missing."""
    return all(map(NUMBER.fullmatch, column)) and any(re.search(r"\d", cell) for cell in column)


class SetTables(SphinxPostTransform):
    """Set columns of numbers to the right, and give the cells of a table of sentences the names of their columns.

    The first column stays, which names the rows. A narrow page shows a table of sentences cell below cell, each under
    its column's name, which is hidden elsewhere.
    """

    default_priority = 895  # after the numbers are set

    def run(self, **kwargs: Any) -> None:
        for table in self.document.findall(nodes.table):
            head, body = ([row.children for part in table.findall(kind) for row in part.findall(nodes.row)]
                          for kind in (nodes.thead, nodes.tbody))
            texts = [[cell.astext().strip() for cell in row] for row in body]
            for column in range(1, len(texts[0])):
                if is_numbers([row[column] for row in texts]):
                    for row in head + body:
                        row[column]["classes"].append("text-right")
            letters = [len(text) for row in texts for text in row]
            if head and len(texts[0]) > 2 and sum(letters) > SENTENCE * len(letters):
                table["classes"].append("sentences")
                self.name_cells([cell.astext() for cell in head[-1]], body)

    @staticmethod
    def name_cells(names: list[str], rows: list[list[nodes.entry]]) -> None:
        for row in rows:
            for name, cell in list(zip(names, row, strict=True))[1:]:
                cell.insert(0, nodes.paragraph("", name, classes=["column-name"]))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(SetTables)
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
