"""Tables for notebooks."""

from collections.abc import Iterable, Sequence
from typing import Any


def show_table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> None:
    """Show a table below the cell, in a notebook and in the built book.

    Parameters
    ----------
    header
        Title of each column, in Markdown.
    rows
        The cells of each row, as many as in the header; Markdown, or anything that ``str`` can format.

    Raises
    ------
    ValueError
        If a row has more or fewer cells than the header.
    """
    from IPython.display import Markdown, display

    lines = [header, ["---"] * len(header), *map(list, rows)]
    for line in lines:
        if len(line) != len(header):
            raise ValueError(f"row {line} has {len(line)} cells, the header {list(header)} has {len(header)}")
    display(Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)))
