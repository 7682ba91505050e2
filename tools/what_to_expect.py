"""The tables of the page *What to expect*: the budget of each notebook, and the range of each result of chance."""

import json
from pathlib import Path

import nbformat

from minivit.expect import RECORD
from tools.budget import declared
from tools.notebooks import in_order, replace, title_of
from tools.tables import fill

PAGE = "book/appendix/what_to_expect.md"
BUDGETS, RANGES = "budgets", "ranges"


def chapters(root: Path) -> dict[str, tuple[str, nbformat.NotebookNode]]:
    """Return the notebooks in the order of the book, by name: each with the Markdown of a link to it."""
    found = {}
    for _, path in in_order(root):
        notebook = nbformat.read(path, as_version=4)
        found[path.stem + ("" if path.stem != "verdict" else f" of {path.parent.name}")] = (
            f"[{title_of(notebook)}](../{path.parent.name}/{path.name})", notebook)
    return found


def table_of_budgets(root: Path) -> list[str]:
    lines = ["| Notebook | CPU seconds | memory, GB |", "|---|---|---|"]
    for link, notebook in chapters(root).values():
        budget = declared(notebook)
        lines.append(f"| {link} | {budget.cpu_s:g} | {budget.memory_gb:g} |" if budget else
                     f"| {link} | not measured yet | |")
    return lines


def table_of_ranges(root: Path) -> list[str]:
    record = json.loads((root / "results" / RECORD).read_text(encoding="utf-8"))
    lines = ["| Notebook | Result | Expect | Each run |", "|---|---|---|---|"]
    for name, (link, _) in chapters(root).items():
        for result, it in record.items():
            chapter, _, what = result.partition("/")
            if chapter == name:
                values = [f"{value:.{it['decimals']}f}" for value in it["values"]]
                low, high = (f"{pick(it['values']):.{it['decimals']}f}" for pick in (min, max))
                lines.append(f"| {link} | {what} | {low} to {high} {it['unit']} | {', '.join(values)} |")
    return lines


def page(root: Path) -> str:
    """Return the text that the page should have."""
    text = (root / PAGE).read_text(encoding="utf-8")
    return fill(text, {BUDGETS: table_of_budgets(root), RANGES: table_of_ranges(root)}, PAGE, "make notebooks")


def renew_page(root: Path) -> None:
    if replace(root / PAGE, page(root)):
        print(f"{PAGE} is new")
