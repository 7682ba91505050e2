"""Find the book's notebooks, check that they contain what their pages show, and write them whole."""

import re
from pathlib import Path

import nbformat
import yaml
from nbformat.reader import NotJSONError

from minivit.files import write_whole
from tools.paths import ROOT


def notebook_paths(root: Path) -> list[Path]:
    """Return the paths of the book's notebooks, sorted."""
    return sorted(path for path in (root / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def in_order(root: Path = ROOT) -> list[tuple[int, Path]]:
    """Return the book's notebooks in the order of its contents, each with its chapter's number, 0 if it has none."""
    found, number = [], 0
    for part in yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))["parts"]:
        for entry in part["chapters"]:
            number += "numbered" in part
            path = root / "book" / f"{entry['file']}.ipynb"
            if path.exists():
                found.append((number if "numbered" in part else 0, path))
    return found


def title_of(notebook: nbformat.NotebookNode) -> str:
    return notebook.cells[0].source.partition("\n")[0].removeprefix("# ")


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def sections(notebook: nbformat.NotebookNode, title: str) -> dict[str, list[nbformat.NotebookNode]]:
    """Return the cells of each section whose title begins with a pattern, to the next heading of its level or above."""
    found, current = {}, None
    for cell in notebook.cells:
        headings = re.findall(r"^#{1,3} (.*)", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else []
        if headings:
            heading = next((it for it in headings if re.match(title, it)), None)
            current = None if heading is None else found.setdefault(heading, [])
        if current is not None:
            current.append(cell)
    return found


def name_of(path: Path, root: Path = ROOT) -> str:
    """Return the path of a file within the repository, written in the same way on every machine."""
    return path.relative_to(root).as_posix()


def stored_problem(path: Path) -> str | None:
    """Say why the stored outputs of a notebook aren't those of one run from top to bottom; None if they are."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except NotJSONError:
        return "it is not JSON, perhaps because of a merge conflict"
    turn = 0
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or not cell.source.strip() or "skip-execution" in tags(cell):
            continue
        turn += 1
        if cell.execution_count is None:
            return f"cell {number} has not been executed"
        if cell.execution_count != turn:
            return f"cell {number} was executed as number {cell.execution_count}, but should be number {turn}"
        if "raises-exception" not in tags(cell) and any(output.output_type == "error" for output in cell.outputs):
            return f"cell {number} contains an error"
    return None if turn else "it has no code"


def replace(path: Path, text: str) -> bool:
    """Write a file completely or not at all; return whether its content changed."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
    return True
