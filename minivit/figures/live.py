"""Interactive figures that need no server: pages of HTML and JavaScript that compute what they show.

A figure is one short file in ``pages``: what it says in words, and a script with its mathematics. Sliders, axes,
colours and announcements come from ``kit.js`` and ``kit.css``, which all figures share. What ``live_figure`` returns
stands on its own, so it works in a live notebook, in the built book and from a file, without a kernel or a network.
Where scripts don't run, the words are left.
"""

import html
import json
import re
from importlib.resources import files
from typing import Any

from minivit.options import check_choice

PAGES = files(__package__).joinpath("pages")


class LiveFigure:
    """What :func:`live_figure` returns; IPython shows it at the end of a cell.

    Attributes
    ----------
    data
        The page, HTML that stands on its own.
    words
        What the figure shows, as plain text.
    """

    def __init__(self, data: str, words: str):
        self.data, self.words = data, words

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.data, "text/plain": self.words}


def live_figures() -> list[str]:
    """Return the names of all live figures, sorted."""
    return sorted(page.name.removesuffix(".html") for page in PAGES.iterdir() if page.name.endswith(".html"))


def live_figure(name: str, words: str = "", **data: Any) -> LiveFigure:
    """Return a live figure by name, to show at the end of a cell.

    Parameters
    ----------
    name
        One of :func:`live_figures`; what each shows stands at the top of its page.
    words
        Sentences with the numbers of this chapter, for those who can't see the figure or have no scripts.
    **data
        The values that the figure starts from; its page names them. Arrays, tensors, and what JSON can hold.

    Returns
    -------
    LiveFigure

    Raises
    ------
    ValueError
        If the name is unknown, or the figure needs other data.
    """
    check_choice(live_figures(), name=name)
    page = _read(f"{name}.html")
    needs = set(re.search(r'data-needs="(.*?)"', page)[1].split())
    if needs != set(data):
        raise ValueError(f"{name} needs the data {sorted(needs)}, not {sorted(data)}")
    if words:
        page = page.replace("</details>", f"<p>{html.escape(words)}</p>\n</details>")
    said = re.search(r"<summary>.*?</summary>(.*?)</details>", page, re.DOTALL)[1]
    values = json.dumps(_short(data), separators=(",", ":")).replace("<", "\\u003c")
    start = f'<script>\n(() => {{\n"use strict";\nconst data = {values};\n{_read("kit.js")}'
    page = page.replace("<script>\n", start).replace("</script>", "})();\n</script>")
    page = page.replace("\n", f"\n<style>\n{_read('kit.css')}</style>\n", 1)
    return LiveFigure(page, html.unescape(re.sub(r"<.*?>", "", said)).strip())


def _short(value: Any) -> Any:
    """Return what JSON can hold, with six digits of each number that has a point: more can't be seen."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _short(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_short(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _read(name: str) -> str:
    return PAGES.joinpath(name).read_text(encoding="utf-8")
