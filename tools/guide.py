"""Write the instructor's guide: ``course/guide.md``, then each chapter's costs, its lesson's plan and its notes.

The plans stand in ``course``, the notes in the chapters' cells tagged ``instructor``; here they are only put together.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.budget import SLOW, declared
from tools.document import lowered, markdown, write
from tools.notebooks import in_order, tags, title_of
from tools.outline import lessons
from tools.paths import ROOT

SOURCE = "course/guide.md"
NOTES = "## For the instructor"
READING = re.compile(r"\*\*It takes\*\* ([^.]*)\.")


def general(root: Path = ROOT) -> tuple[str, str, str]:
    """Return the title of the guide, what it says before its first section, and its sections."""
    title, _, rest = (root / SOURCE).read_text(encoding="utf-8").partition("\n")
    about, heading, text = rest.partition("\n## ")
    return title.removeprefix("# "), about.strip(), heading + text


def notes(notebook: NotebookNode) -> str:
    """Return what a chapter says to its teacher, without the heading; empty if it says nothing."""
    cells = [cell for cell in notebook.cells if "instructor" in tags(cell)]
    return "\n\n".join(cell.source.removeprefix(NOTES).strip() for cell in cells)


def costs(notebook: NotebookNode) -> tuple[str, str, str, str]:
    """Return in words what a chapter costs: its reading, its CPU seconds, those on a slow laptop, its memory in GB."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    reading, cost = READING.search(text), declared(notebook)
    words = (f"{cost.cpu_s:g}", f"{SLOW * cost.cpu_s:g}", f"{cost.memory_gb:g}") if cost else ("", "", "")
    return (reading[1] if reading else "", *words)


def overview(root: Path = ROOT) -> str:
    lines = ["| Chapter | To read | CPU seconds | on a slow laptop | memory, GB |", "|---|---|---|---|---|"]
    for number, path in in_order(root):
        notebook = nbformat.read(path, as_version=4)
        name = f"{number}. {title_of(notebook)}" if number else title_of(notebook)
        lines.append(f"| {name} | {' | '.join(costs(notebook))} |")
    return "\n".join(lines)


def chapter(number: int, notebook: NotebookNode, plan: str) -> str:
    """Return what the guide says of a chapter, empty if there's nothing for its teacher."""
    said, title = notes(notebook), title_of(notebook)
    if not said and not plan:
        return ""
    name = f"Chapter {number}" if number else title
    reading, seconds, slow, memory = costs(notebook)
    parts = [f"<h2>{html.escape(f'{name}. {title}' if number else title)}</h2>",
             markdown(f"**What it costs.** Reading takes {reading}. Running takes {seconds} CPU seconds ({slow} on a "
                      f"slow laptop) and {memory} GB of memory.")]
    if plan:
        parts += [f"<h3>{name}, the plan of its lesson</h3>", markdown(plan)]
    if said:
        parts += [f"<h3>{name}, notes</h3>", lowered(markdown(said), 2)]
    return "\n".join(parts)


def body(root: Path = ROOT) -> Iterator[str]:
    planned = lessons(root)
    text = general(root)[2].replace("{overview}", overview(root))
    yield f'<section class="general">\n{markdown(text)}</section>'
    for number, path in in_order(root):
        yield chapter(number, nbformat.read(path, as_version=4), planned.get(number, ""))


def main() -> None:
    title, about, _ = general()
    write("guide", title, about, "\n".join(filter(None, body())))


if __name__ == "__main__":
    main()
