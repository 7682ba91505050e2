"""Tables as a notebook shows them."""

from collections.abc import Iterable, Sequence
from typing import Any


def show_table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> None:
    """Show a table under the cell, on the page of the book too.

    Parameters
    ----------
    header
        What stands above each column, in Markdown.
    rows
        The cells of each row, in Markdown or as ``str`` writes them; as many as the header has.

    Raises
    ------
    ValueError
        If a row has more or fewer cells than the header.
    """
    from IPython.display import Markdown, display

    lines = [header, ["---"] * len(header), *rows]
    for line in lines:
        if len(line) != len(header):
            raise ValueError(f"row {list(line)} has {len(line)} cells, the header {list(header)} has {len(header)}")
    display(Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)))
