"""What a chapter offers a course, read from its notebook: sections, exercises, questions, and what it needs first."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

import nbformat

from tools.budget import Cost, declared
from tools.notebooks import in_order
from tools.paths import ROOT

HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
EXERCISE = re.compile(r"^### Exercise (\d+)\. (.+?) (★+) \((.+)\)$", re.MULTILINE)
CHECK_YOURSELF = re.compile(r"^## Question (\d+)\. (.+)$", re.MULTILINE)
QUICK_QUESTION = re.compile(r"^\*\*(\d+)\.\*\* ", re.MULTILINE)
ANSWER = re.compile(r'<details class="answer"><summary>(.*?)</summary>\s*(.*?)\s*</details>', re.DOTALL)
RIGHT = "Right: "
LINK = re.compile(r"\]\((?:\.\./\w+/)?(\w+)\.ipynb\)")
ABLE, NEED = "**You will be able to**", "**You need**"
READING = re.compile(r"\*\*It takes\*\* about (\d+) minutes")

LESSON = re.compile(r"^## Lesson (\d+)\. .+\n((?:(?!## ).*\n)*)", re.MULTILINE)
ROW = re.compile(r"^\| (\d+)–(\d+) \| (.+?) \| (.*?) ?\|$", re.MULTILINE)
NAMED = re.compile(r"\*([^*]+)\*(?: to \*([^*]+)\*)?")
BRING = re.compile(r"^Students bring [^.]*", re.MULTILINE)


class Exercise(NamedTuple):
    """An exercise as its heading announces it; ``time`` is "10 minutes", or "open-ended"."""

    title: str
    stars: str
    time: str

    @property
    def minutes(self) -> int:
        """Minutes, 0 if it's open-ended."""
        return int(self.time.partition(" ")[0]) if self.time[0].isdigit() else 0


class QuickQuestion(NamedTuple):
    """A quick question in Markdown: its answers, each with what it says when it's opened, and which one is right."""

    number: int
    text: str
    answers: dict[str, tuple[str, str]]  # by letter
    right: str

    @property
    def why(self) -> str:
        """What the right answer says."""
        why = self.answers[self.right][1].removeprefix(RIGHT)
        return f"{why[:1].upper()}{why[1:]}"


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
    reading_minutes: int
    budget: Cost | None

    @property
    def name(self) -> str:
        return self.path.stem

    def section(self, start: str) -> str:
        """Return the title of the section that is called so, or, if none is, of the only one that begins so.

        Raises
        ------
        ValueError
            If there is no such section, or more than one.
        """
        found = [it for it in self.sections if it == start] or [it for it in self.sections if it.startswith(start)]
        if len(found) != 1:
            raise ValueError(f"{self.name}: {found or 'no section'} begins with {start!r}")
        return found[0]


class Row(NamedTuple):
    """A row of a lesson's plan: from minute to minute, with the sections that it runs."""

    start: int
    end: int
    sections: list[str]

    @property
    def minutes(self) -> int:
        return self.end - self.start


def paragraphs(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from cell.source.split("\n\n")


def quick_questions(source: str) -> list[QuickQuestion]:
    """Return the quick questions of a cell.

    Raises
    ------
    ValueError
        If a question hasn't just one right answer.
    """
    found, (_, *parts) = [], QUICK_QUESTION.split(source)
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        answers = dict(zip(ascii_uppercase, ANSWER.findall(text), strict=False))
        right = [letter for letter, (_, says) in answers.items() if says.startswith(RIGHT)]
        if len(right) != 1:
            raise ValueError(f"has the quick question {number} with {len(right)} answers that start with {RIGHT!r}, "
                             "not 1")
        found.append(QuickQuestion(int(number), ANSWER.sub("", text).strip(), answers, *right))
    return found


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
        [it.number for it in quick_questions(quick)],
        next((int(it) for it in READING.findall(text)), 0), declared(notebook),
    )


def numbered(root: Path = ROOT) -> dict[str, Chapter]:
    """Return the numbered chapters in the order of the book, by the name of their file."""
    return {path.stem: chapter(path, lesson) for lesson, path in in_order(root) if lesson}


def check_yourself(root: Path = ROOT) -> dict[int, list[str]]:
    """Return the questions of *Check yourself* by number, each with the chapters that it points to."""
    found = {}
    for cell in nbformat.read(root / "book/attention/check_yourself.ipynb", as_version=4).cells:
        if cell.cell_type == "markdown" and (heading := CHECK_YOURSELF.search(cell.source)):
            found[int(heading[1])] = LINK.findall(cell.source)
    return found


def sections_run(cell: str, outline: Chapter) -> list[str]:
    """Return the sections that the last cell of a plan's row names; "*A* to *B*" are all those between, too."""
    found = []
    for first, last in NAMED.findall(cell):
        start = outline.sections.index(outline.section(first))
        end = outline.sections.index(outline.section(last)) if last else start
        found += outline.sections[start:end + 1]
    return found


def lessons(root: Path = ROOT) -> dict[int, str]:
    """Return what the course says of each lesson, by its number, without its title."""
    text = (root / "course/lessons.md").read_text(encoding="utf-8")
    return {int(lesson): body.strip() for lesson, body in LESSON.findall(text)}


def assignments(root: Path = ROOT) -> list[Path]:
    """Return the sources of the assignments, in the order in which the six-week module hands them out."""
    sessions = tomllib.loads((root / "course/six_weeks.toml").read_text(encoding="utf-8"))["sessions"]
    names = [name for session in sessions for name in session.get("hand_out", [])]
    return [root / "course/assignments" / name / f"{name}.ipynb" for name in names]


def plans(outlines: dict[str, Chapter], root: Path = ROOT) -> dict[str, list[Row]]:
    """Return the plan of each chapter's lesson."""
    by_lesson = list(outlines.values())
    return {(it := by_lesson[lesson - 1]).name: [Row(int(start), int(end), sections_run(cell, it))
                                                 for start, end, _, cell in ROW.findall(body)]
            for lesson, body in lessons(root).items()}


def brought(outlines: dict[str, Chapter], root: Path = ROOT) -> dict[str, set[int]]:
    """Return the lessons that each plan says students bring."""
    names, found = list(outlines), {}
    for lesson, body in lessons(root).items():
        sentence = BRING.search(body)[0]
        spans = re.findall(r"(\d+) to (\d+)", sentence)
        found[names[lesson - 1]] = {int(it) for it in re.findall(r"\d+", sentence)} | {
            it for first, last in spans for it in range(int(first), int(last) + 1)}
    return found
