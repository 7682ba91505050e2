"""Write the answer booklet: the solutions of all exercises, questions and assignments as one document, for teachers.

Everything comes from the chapters' own cells, and from those of the assignments. Hints and checks are left out, but
what a check printed when it passed stays: it often says the numbers.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.document import code, lowered, markdown, outputs, write
from tools.editions import DIRECTIVE
from tools.notebooks import in_order, sections, tags, title_of
from tools.outline import assignments, quick_questions
from tools.paths import ROOT
from tools.stubs import without_markers

ABOUT = """\
The solutions of all exercises, quick questions and assignments, for whoever teaches from the book. The tasks stand here
too, without their hints. Numbers of equations and figures are those of the chapter. What a check prints if it passes
stands below a solution, where it prints more than "right".
"""
PLAIN_CHECK = re.compile(r"Exercise \d+: right\.?\s*")


def task(source: str, title: str) -> str:
    """Return what an exercise asks, without its title and its hints."""
    def kept(directive: re.Match) -> str:
        return "" if directive[2] == "hint" or "hint" in directive[4] else directive[0]

    before, _, after = source.partition(title)
    return markdown(DIRECTIVE.sub(kept, after or before))


def solution(cell: NotebookNode) -> str:
    """Return a solution, with what it printed and drew."""
    source = without_markers(cell.source)
    shown = markdown(source) if cell.cell_type == "markdown" else code(source)
    return f"{shown}\n{outputs(cell)}"


def passed(cell: NotebookNode) -> str:
    """Return what a check printed, if that's more than that the answer is right."""
    shown = outputs(cell)
    return "" if PLAIN_CHECK.fullmatch("".join(it.get("text", "") for it in cell.outputs)) or not shown else (
        f'<p class="label">The check prints</p>\n{shown}')


def exercise(name: str, title: str, cells: list[NotebookNode]) -> str:
    """Return an exercise's task and its solution."""
    parts, said = [f"<h3>{html.escape(f'{name}, {title[0].lower()}{title[1:]}')}</h3>"], False
    for cell in cells:
        if "solution" in tags(cell):
            parts += [] if said else ['<p class="label">Solution</p>']
            said = True
            parts.append(solution(cell))
        elif "check" in tags(cell):
            parts.append(passed(cell))
        elif cell.cell_type == "markdown" and "instructor" not in tags(cell):
            parts.append(task(cell.source, title))
        elif cell.cell_type == "code":
            parts.append(code(cell.source))
    return "\n".join(parts)


def quiz(name: str, source: str) -> str:
    """Return the quick questions of a chapter, each with its right answer and why it's right.

    Raises
    ------
    ValueError
        If a question hasn't just one right answer.
    """
    try:
        asked = quick_questions(source)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    return "\n".join([f"<h3>{html.escape(name)}, quick questions</h3>", *(
        markdown(f"**{it.number}.** {it.text}\n\n**{it.right}. {it.answers[it.right][0].strip()}**\n\n{it.why}")
        for it in asked)])


def chapter(number: int, notebook: NotebookNode) -> str:
    """Return all answers of a chapter, empty if it asks nothing."""
    title = title_of(notebook)
    name = f"Chapter {number}" if number else title
    parts = [quiz(name, cell.source) for cell in notebook.cells if "## Quick questions" in cell.source]
    parts += [exercise(name, heading, cells) for heading, cells in
              sections(notebook, r"(?:Exercise|Question) \d").items()]
    heading = f"{name}. {title}" if number else title
    return "\n".join([f"<h2>{html.escape(heading)}</h2>", *parts]) if parts else ""


def assignment(number: int, notebook: NotebookNode) -> str:
    """Return the tasks and the solutions of an assignment, without its first and last words and its tests."""
    name = f"Assignment {number}"
    solved = [place for place, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("solution")]
    parts = [f"<h2>{name}. {html.escape(title_of(notebook))}</h2>"]
    for cell in notebook.cells[1:solved[-1] + 1]:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            parts += ['<p class="label">Solution</p>', solution(cell)]
        elif cell.cell_type == "markdown":
            parts.append(re.sub(r"<h3>(Part\s)?", lambda tag: f"<h3>{name}, part " if tag[1] else f"<h3>{name}: ",
                                lowered(markdown(cell.source), 1)))
    return "\n".join(parts)


def body(root: Path = ROOT) -> Iterator[str]:
    for number, path in in_order(root):
        yield chapter(number, nbformat.read(path, as_version=4))
    for number, path in enumerate(assignments(root), 1):
        yield assignment(number, nbformat.read(path, as_version=4))


def main() -> None:
    write("answers", "Answer booklet", ABOUT, "\n".join(filter(None, body())))


if __name__ == "__main__":
    main()
