"""Text tables for a terminal."""

from collections.abc import Sequence


def text_table(rows: Sequence[Sequence[str]], align: str = ">") -> str:
    """Format rows as aligned columns of text.

    Parameters
    ----------
    rows
        Rows of cells, all of the same length; the first row holds the titles.
    align
        ``<`` or ``>`` for all columns, or one for each: ``"<>>"``.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = align if len(align) > 1 else align * len(widths)
    lines = [[f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)
