"""What a chapter offers a course, read from its notebook: sections, exercises, questions, and what it needs first."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import yaml

from tools.budget import Cost, declared
from tools.paths import ROOT

HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
EXERCISE = re.compile(r"^### Exercise (\d+)\. (.+?) (★+) \((.+)\)$", re.MULTILINE)
CHECK_YOURSELF = re.compile(r"^## Question (\d+)\. (.+)$", re.MULTILINE)
QUICK_QUESTION = re.compile(r"^\*\*(\d+)\.\*\*", re.MULTILINE)
LINK = re.compile(r"\]\((?:\.\./\w+/)?(\w+)\.ipynb\)")
ABLE, NEED, TIME = "**You will be able to**", "**You need**", "**It takes**"


class Exercise(NamedTuple):
    """An exercise as its heading announces it; ``time`` is "10 minutes", or "open-ended"."""

    title: str
    stars: str
    time: str

    @property
    def minutes(self) -> int:
        """Minutes, 0 if it's open-ended."""
        return int(self.time.partition(" ")[0]) if self.time[0].isdigit() else 0


class Chapter(NamedTuple):
    """A numbered chapter, which is the lesson of that number."""

    lesson: int
    path: Path
    title: str
    goals: str
    needs: list[str]
    sections: list[str]
    exercises: dict[int, Exercise]
    questions: list[int]
    budget: Cost | None

    @property
    def name(self) -> str:
        return self.path.stem


def paragraphs(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from cell.source.split("\n\n")


def chapter(path: Path, lesson: int = 0) -> Chapter:
    """Return the outline of a chapter's notebook."""
    notebook = nbformat.read(path, as_version=4)
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    said = {start: next((it for it in paragraphs(notebook) if it.startswith(start)), "") for start in (ABLE, NEED)}
    quick = next((cell.source for cell in notebook.cells if "## Quick questions" in cell.source), "")
    title, *sections = HEADING.findall(text)
    return Chapter(
        lesson, path, title, " ".join(said[ABLE].removeprefix(ABLE).split()), LINK.findall(said[NEED]), sections,
        {int(number): Exercise(*rest) for number, *rest in EXERCISE.findall(text)},
        [int(number) for number in QUICK_QUESTION.findall(quick)], declared(notebook),
    )


def numbered(root: Path = ROOT) -> dict[str, Chapter]:
    """Return the numbered chapters in the order of the book, by the name of their file."""
    parts = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    files = [it["file"] for part in parts if "numbered" in part for it in part["chapters"]]
    return {Path(file).name: chapter(root / "book" / f"{file}.ipynb", lesson) for lesson, file in enumerate(files, 1)}


def check_yourself(root: Path = ROOT) -> dict[int, list[str]]:
    """Return the questions of *Check yourself* by number, each with the chapters that it points to."""
    found = {}
    for cell in nbformat.read(root / "book/attention/check_yourself.ipynb", as_version=4).cells:
        if cell.cell_type == "markdown" and (heading := CHECK_YOURSELF.search(cell.source)):
            found[int(heading[1])] = LINK.findall(cell.source)
    return found
