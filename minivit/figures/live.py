"""Interactive figures that need no server: self-contained pages of HTML and JavaScript.

They work in a live notebook, in the built book and from a file, without a kernel or a network. Next to each, a static
figure says the same.
"""

from importlib.resources import files
from typing import Any


def live_figure(name: str) -> Any:
    """Return a live figure by name, to show at the end of a cell.

    Parameters
    ----------
    name
        ``softmax``: sliders for three scores and a scale; the weights, and their position in the triangle.

    Returns
    -------
    IPython.display.HTML

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    from IPython.display import HTML

    pages = {page.name.removesuffix(".html"): page for page in files(__package__).joinpath("pages").iterdir()}
    if name not in pages:
        raise ValueError(f"name={name!r} is not a live figure; known: {', '.join(sorted(pages))}")
    return HTML(pages[name].read_text(encoding="utf-8"))
