"""Make a learner's and an instructor's edition of every chapter of the book, for any Jupyter.

In a code cell tagged ``solution`` the solution is between ``### BEGIN SOLUTION`` and ``### END SOLUTION``; without
these markers the whole cell is the solution. A Markdown cell tagged ``solution`` explains one.

Hints fold in HTML, since few Jupyters know the book's directives. If REPOSITORY_URL is set, the first cell installs the
package from there where it is missing, as on Colab.
"""

import copy
import os
import re
from pathlib import Path

import nbformat

from tools.notebooks import name_of, notebook_paths
from tools.paths import BUILD, ROOT

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"

DIRECTIVE = re.compile(r"^(:{3,})\{(\w+)\}([^\n]*)\n((?::[\w-]+:[^\n]*\n)*)(.*?)\n\1$", re.MULTILINE | re.DOTALL)

INSTALL = """\
# Installs the book's package where it is missing, as on Colab and Kaggle.
from importlib.util import find_spec

if not find_spec("minivit"):
    %pip install --quiet "minivit[figures] @ git+{repository_url}\""""


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


def folded_in_html(source: str) -> str:
    """Return the Markdown with each directive as an element that folds; it is closed if the directive was."""
    def element(directive: re.Match) -> str:
        _, name, title, options, body = directive.groups()
        state = "" if "dropdown" in options else " open"
        return (f"<details{state}>\n<summary><b>{title.strip() or name.capitalize()}</b></summary>\n\n"
                f"{body.strip()}\n\n</details>")

    return DIRECTIVE.sub(element, source)


def for_any_jupyter(notebook: nbformat.NotebookNode, repository_url: str = "") -> nbformat.NotebookNode:
    """Return the notebook with directives in HTML and, if the repository's address is known, the installing cell."""
    portable = copy.deepcopy(notebook)
    for cell in portable.cells:
        if cell.cell_type == "markdown":
            cell.source = folded_in_html(cell.source)
    if repository_url:
        source = INSTALL.format(repository_url=repository_url.removesuffix("/"))
        portable.cells.insert(0, nbformat.v4.new_code_cell(source, id="install"))
    return portable


def write(edition: nbformat.NotebookNode, chapter: Path, folder: Path) -> Path:
    """Write a chapter's edition to its place in a folder and return its path."""
    target = folder / chapter.relative_to(ROOT / "book")
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(edition, target)
    return target


def main() -> None:
    chapters = [path for path in notebook_paths(ROOT) if "appendix" not in path.relative_to(ROOT).parts]
    repository_url = os.environ.get("REPOSITORY_URL", "")
    for path in chapters:
        notebook = for_any_jupyter(nbformat.read(path, as_version=4), repository_url)
        try:
            editions = {"learner": learner_edition(notebook), "instructor": notebook}
        except MarkerError as error:
            raise SystemExit(f"{name_of(path)}, {error}") from None
        for name, edition in editions.items():
            write(edition, path, BUILD / "editions" / name)
    print(f"{len(chapters)} chapters in {BUILD / 'editions'}")


if __name__ == "__main__":
    main()
