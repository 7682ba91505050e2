"""Make a learner's and an instructor's edition of every chapter of the book.

In a code cell tagged ``solution`` the solution is between ``### BEGIN SOLUTION`` and ``### END SOLUTION``; without
these markers the whole cell is the solution. A Markdown cell tagged ``solution`` explains one.
"""

import copy
import re

import nbformat

from tools.notebooks import name_of, notebook_paths
from tools.paths import BUILD, ROOT

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


class MarkerError(ValueError):
    """A solution that lacks its beginning or its end."""


def without_solutions(source: str) -> str:
    """Return the code with each marked solution replaced by a line to fill in, indented as the solution was."""
    if BEGIN not in source and END not in source:
        return "# your code here"
    lines, inside = [], False
    for number, line in enumerate(source.splitlines(), start=1):
        marker = line.strip()
        if marker == (BEGIN if inside else END):
            raise MarkerError(f"line {number}: {marker!r} {'inside a solution' if inside else 'without a beginning'}")
        if marker == BEGIN:
            inside = True
            indent = re.match(r"\s*", line).group()
            lines.append(f"{indent}...  # your code")
        elif marker == END:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise MarkerError(f"{BEGIN!r} without {END!r}")
    return "\n".join(lines)


def learner_edition(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without solutions and outputs.

    Raises
    ------
    MarkerError
        Naming the cell and the line, if the markers of a solution don't form a pair.
    """
    learner = copy.deepcopy(notebook)
    learner.cells = []
    for number, cell in enumerate(copy.deepcopy(notebook.cells), start=1):
        is_solution = "solution" in cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if is_solution:
                try:
                    cell.source = without_solutions(cell.source)
                except MarkerError as error:
                    raise MarkerError(f"cell {number}, {error}") from None
        elif is_solution:
            continue
        learner.cells.append(cell)
    return learner


def main() -> None:
    chapters = [path for path in notebook_paths(ROOT) if "appendix" not in path.relative_to(ROOT).parts]
    for path in chapters:
        notebook = nbformat.read(path, as_version=4)
        try:
            editions = {"learner": learner_edition(notebook), "instructor": notebook}
        except MarkerError as error:
            raise SystemExit(f"{name_of(path)}, {error}") from None
        for name, edition in editions.items():
            target = BUILD / "editions" / name / path.relative_to(ROOT / "book")
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(edition, target)
    print(f"{len(chapters)} chapters in {BUILD / 'editions'}")


if __name__ == "__main__":
    main()
