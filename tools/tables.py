"""Tables that a command writes into a page, between two marks."""


def fill(text: str, tables: dict[str, list[str]], page: str, command: str) -> str:
    """Return a page's text with each table between its two marks, the first of which names the command that writes it.

    Parameters
    ----------
    text
        The page as it is.
    tables
        The lines of each table, by the name in its marks.
    page, command
        The page's name, for the error, and the command.

    Raises
    ------
    ValueError
        If a table has no marks.
    """
    for name, lines in tables.items():
        before, start, rest = text.partition(f"<!-- {name}: written by {command} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->\n")
        if not start or not end:
            raise ValueError(f"{page} has no place for the table of {name}")
        text = before + start + "\n" + "\n".join(lines) + "\n\n" + end + after
    return text
