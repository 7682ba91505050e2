"""Figures that answer the hand without a server: a page of HTML and script that stands on its own.

They work in a live notebook, in the built book and from a file, with no kernel and no network. Each has a still figure
beside it that says the same.
"""

from importlib.resources import files
from typing import Any


def live_figure(name: str) -> Any:
    """Return the live figure of that name, to be shown at the end of a cell.

    Parameters
    ----------
    name
        ``softmax``: three scores and a scale to slide, the weights and their place in the triangle.

    Returns
    -------
    IPython.display.HTML

    Raises
    ------
    ValueError
        If there is no such figure.
    """
    from IPython.display import HTML

    pages = {page.name.removesuffix(".html"): page for page in files(__package__).joinpath("pages").iterdir()}
    if name not in pages:
        raise ValueError(f"name={name!r} is no live figure; known: {', '.join(sorted(pages))}")
    return HTML(pages[name].read_text(encoding="utf-8"))
