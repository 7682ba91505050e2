"""Make a learner's and an instructor's edition of every chapter of the book, for any Jupyter.

The learner's has no outputs, and in place of each solution what :mod:`tools.stubs` makes of it, to be filled in. It
leaves out Markdown cells tagged ``solution``, which explain one, and those tagged ``instructor``: what a teacher needs
to know. The pages leave these out too, as they are also tagged ``remove-cell``.

Hints fold in HTML, since few Jupyters know the book's directives. If REPOSITORY_URL is set, the first cell installs the
package from there where it is missing, as on Colab.
"""

import copy
import os
import re
from pathlib import Path

import nbformat

from tools.notebooks import name_of, notebook_paths, tags
from tools.paths import BUILD, ROOT
from tools.stubs import MarkerError, wanted_before, without_markers, without_solutions

DIRECTIVE = re.compile(r"^(:{3,})\{(\w+)\}([^\n]*)\n((?::[\w-]+:[^\n]*\n)*)(.*?)\n\1$", re.MULTILINE | re.DOTALL)

LINK_WITHIN = re.compile(r"\[([^\[\]]+)\]\((?:<#[^>\n]*>|#[^)\s]*)\)")  # such as to a figure or a word of the glossary
CITATION = re.compile(r"\s*\{cite(?::\w+)?\}`[^`]+`")

FOLDED = {"hide-input", "hide-cell"}  # tags of cells whose code a page shows only if it's asked to

# Metadata that only tools.slides reads.
FOR_SLIDES = ("slideshow", "slide", "notes", "slide_code", "slide_outputs", "slide_bands")

INSTALL = """\
# Installs the book's package where it is missing, as on Colab and Kaggle.
from importlib.util import find_spec

if not find_spec("minivit"):
    %pip install --quiet "minivit[figures] @ git+{repository_url}\""""


def learner_edition(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without solutions, outputs and what is for instructors.

    Raises
    ------
    MarkerError
        Naming the cell and the line, if the markers of a solution don't form a pair.
    """
    learner = copy.deepcopy(notebook)
    wanted, cells = set(), []
    for number, cell in reversed(list(enumerate(learner.cells, start=1))):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            try:
                if "solution" in tags(cell):
                    cell.source = without_solutions(cell.source, wanted)
                    cell.metadata.pop("jupyter", None)  # what's to be filled in isn't folded
                wanted = wanted_before(cell.source, wanted)
            except MarkerError as error:
                raise MarkerError(f"cell {number}, {error}") from None
        elif tags(cell) & {"solution", "instructor"}:
            continue
        cells.append(cell)
    learner.cells = cells[::-1]
    return learner


def folded_in_html(source: str) -> str:
    """Return the Markdown with each directive as an element that folds; it is closed if the directive was."""
    def element(directive: re.Match) -> str:
        _, name, title, options, body = directive.groups()
        state = "" if "dropdown" in options else " open"
        return (f"<details{state}>\n<summary><b>{title.strip() or name.capitalize()}</b></summary>\n\n"
                f"{body.strip()}\n\n</details>")

    return DIRECTIVE.sub(element, source)


def in_any_jupyter(source: str) -> str:
    """Return the Markdown without directives, links to places within the book, and citations' keys."""
    return CITATION.sub("", LINK_WITHIN.sub(r"\1", folded_in_html(source)))


def install_cells(repository_url: str) -> list[nbformat.NotebookNode]:
    """Return the cell that installs the package from its repository, if the address of that is known."""
    source = INSTALL.format(repository_url=repository_url.removesuffix("/"))
    return [nbformat.v4.new_code_cell(source, id="install")] if repository_url else []


def for_any_jupyter(notebook: nbformat.NotebookNode, repository_url: str = "") -> nbformat.NotebookNode:
    """Return the notebook without what only the book's pages and slides know.

    Directives are HTML, captions stand under their figures, links to places within the book are plain words, and code
    that a page folds is folded. If the repository's address is known, the first cell installs the package.
    """
    portable, cells = copy.deepcopy(notebook), []
    for cell in portable.cells:
        cells.append(cell)
        for name in FOR_SLIDES:
            cell.metadata.pop(name, None)
        if cell.cell_type == "markdown":
            cell.source = in_any_jupyter(cell.source)
            continue
        if FOLDED & tags(cell):
            cell.metadata["jupyter"] = {"source_hidden": True}
        if caption := cell.metadata.get("mystnb", {}).get("figure", {}).get("caption"):
            cells.append(nbformat.v4.new_markdown_cell(f"*Figure.* {in_any_jupyter(caption)}",
                                                       id=f"{cell.id[:56]}-caption"))
    portable.cells = [*install_cells(repository_url), *cells]
    return portable


def reader_edition(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook for any Jupyter, with solutions, folded, and outputs, and without what is for instructors."""
    portable = for_any_jupyter(notebook)
    portable.cells = [cell for cell in portable.cells if "instructor" not in tags(cell)]
    for cell in portable.cells:
        cell.source = without_markers(cell.source)
    return portable


def write(edition: nbformat.NotebookNode, chapter: Path, folder: Path) -> Path:
    """Write a chapter's edition to its place in a folder and return its path."""
    target = folder / chapter.relative_to(ROOT / "book")
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(edition, target)
    return target


def chapters() -> list[Path]:
    """Return the paths of the notebooks that have editions."""
    return [path for path in notebook_paths(ROOT) if "appendix" not in path.relative_to(ROOT).parts]


def main() -> None:
    repository_url = os.environ.get("REPOSITORY_URL", "")
    paths = chapters()
    for path in paths:
        notebook = for_any_jupyter(nbformat.read(path, as_version=4), repository_url)
        try:
            editions = {"learner": learner_edition(notebook), "instructor": notebook}
        except MarkerError as error:
            raise SystemExit(f"{name_of(path)}, {error}") from None
        for name, edition in editions.items():
            write(edition, path, BUILD / "editions" / name)
    print(f"{len(paths)} chapters in {BUILD / 'editions'}")


if __name__ == "__main__":
    main()
