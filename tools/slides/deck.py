"""Turn a chapter into its slides: a notebook with nbconvert's slide tags that holds what the slides show, and no more.

What a slide shows and what only the speaker sees is metadata of the chapter's own cells; CONTRIBUTING.md says which.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

from tools.editions import DIRECTIVE, FOR_SLIDES, in_any_jupyter
from tools.notebooks import in_order, name_of, tags
from tools.outline import ANSWER, quick_questions
from tools.slides.bands import banded

TYPES = ("slide", "fragment", "-", "notes")  # nbconvert's, without those that a chapter has no use for
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}

TITLE = re.compile(r"# (.+)\n*")
BREAK = re.compile(r"^---$", re.MULTILINE)
LIVE = re.compile(r'class="(live|slider)-figure')
LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?!https?:)[^)\s]+\)")  # to another chapter: there is none beside a slide


class SlideError(ValueError):
    """A cell that can't be made into slides; says which, and why."""


@dataclass
class Slide:
    """The cells of one slide, the first of them of the type ``slide``, and what only the speaker sees."""

    cells: list[NotebookNode] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def slide_type(cell: NotebookNode) -> str | None:
    """Return the type of a cell; None if it isn't in the slides.

    Raises
    ------
    SlideError
        If the type isn't known, or a cell that isn't in the slides has something to show on one.
    """
    kind = cell.metadata.get("slideshow", {}).get("slide_type")
    if kind is None:
        idle = [name for name in FOR_SLIDES if name in cell.metadata]
        if idle:
            raise SlideError(f"has {idle[0]!r} and no slide_type, so no slide shows it")
    elif kind not in TYPES:
        raise SlideError(f"has the slide_type {kind!r}; known: {', '.join(TYPES)}")
    return kind


def has_slides(notebook: NotebookNode) -> bool:
    """Say whether a chapter has slides."""
    return any(name in cell.metadata for cell in notebook.cells for name in FOR_SLIDES)


def lines(cell: NotebookNode, name: str) -> str | None:
    """Return a text that a cell has beside its source: a list of lines, so that a change of one is a change of one."""
    text = cell.metadata.get(name)
    if text is None:
        return None
    if not isinstance(text, list) or not all(isinstance(line, str) and "\n" not in line for line in text):
        raise SlideError(f"has {name!r} that isn't a list of lines")
    return "\n".join(text)


def in_box(directive: re.Match) -> str:
    """Return a directive as a box with its title; nothing is folded on a slide."""
    _, name, title, _, body = directive.groups()
    return f'<div class="box">\n\n**{title.strip() or name.capitalize()}**\n\n{body.strip()}\n\n</div>'


def on_slide(source: str) -> str:
    """Return the Markdown of a chapter as a slide shows it: without links to where a slide can't lead."""
    return LINK.sub(r"\1", in_any_jupyter(DIRECTIVE.sub(in_box, source)))


def for_speaker(source: str) -> str:
    return LINK.sub(r"\1", in_any_jupyter(source))


def markdown(cell: NotebookNode, part: str, kind: str, source: str) -> NotebookNode:
    """Return a cell that is made from another, with its id and what part of that it is."""
    return new_markdown_cell(source, id=f"{cell.id[:50]}-{part}", metadata={"slideshow": {"slide_type": kind}})


def title_slide(cell: NotebookNode, number: int | None, book: str) -> Slide:
    """Return the first slide; what the chapter starts with is for the speaker, if no slide of its own shows it."""
    title = TITLE.match(cell.source)
    if not title:
        raise SlideError("doesn't start with the chapter's title")
    lesson = f"Lesson {number}" if number else book
    source = (f'<div class="title">\n\n<p class="lesson">{lesson}</p>\n\n# {title[1]}\n\n'
              f'<p class="book">{book}</p>\n\n</div>')
    notes = [] if "slideshow" in cell.metadata else [for_speaker(cell.source[title.end():])]
    return Slide([markdown(cell, "title", "slide", source)], notes)


def question_slides(cell: NotebookNode) -> Iterator[Slide]:
    """Return a slide for each quick question: its answers by letters, and on a click which is right, and why."""
    for it in quick_questions(cell.source):
        choices = "\n".join(f"<li>\n\n{on_slide(answer)}\n\n</li>" for answer, _ in it.answers.values())
        source = (f'<p class="kicker">Quick question {it.number}</p>\n\n## {" ".join(on_slide(it.text).split())}\n\n'
                  f'<ol type="A" class="answers">\n{choices}\n</ol>')
        notes = ["**Answers.**\n\n" + "\n".join(f"- **{letter}**, {for_speaker(answer)}. {for_speaker(says)}"
                                                for letter, (answer, says) in it.answers.items())]
        yield Slide([markdown(cell, f"question{it.number}", "slide", source),
                     markdown(cell, f"answer{it.number}", "fragment",
                              f'<div class="box answer">\n\n**{it.right}.** {on_slide(it.why)}\n\n</div>')], notes)


def parts(text: str) -> list[str]:
    """Return the texts of several slides that one cell has, between lines of ``---``."""
    return [part.strip("\n") for part in BREAK.split(text)]


def is_figure(output: NotebookNode) -> bool:
    data = output.get("data", {})
    return "image/png" in data or bool(LIVE.search(data.get("text/html", "")))


def beside(cell: NotebookNode) -> list[str]:
    """Take from a cell's outputs what its slide doesn't show, and return it: a figure has its slide for itself.

    Raises
    ------
    SlideError
        If the cell chooses an output that it doesn't have.
    """
    places = range(len(cell.outputs))
    chosen = cell.metadata.get("slide_outputs")
    if chosen is None:
        chosen = [place for place in places if is_figure(cell.outputs[place])] or places
    elif not set(chosen) <= set(places):
        raise SlideError(f"has slide_outputs {chosen}, and {len(places)} outputs, counted from 0")
    said, cell.outputs = ([cell.outputs[place] for place in places if (place in chosen) == kind]
                          for kind in (False, True))
    return [output.data["text/markdown"] if "text/markdown" in output.get("data", {}) else f"```\n{output.text}```"
            for output in said if "text" in output or "text/markdown" in output.get("data", {})]


def with_bands(cell: NotebookNode, bands: str) -> NotebookNode:
    """Return a cell whose figures show these bands alone, with an id of its own.

    Raises
    ------
    SlideError
        If it has no figure, or a band can't be cut from it.
    """
    copy = nbformat.from_dict(cell)
    copy.id = f"{cell.id[:40]}-{re.sub(r'[^0-9]+', '-', bands)}"[:64]
    plots = [output.data for output in copy.outputs if "image/png" in output.get("data", {})]
    if not plots:
        raise SlideError("has slide_bands, and no picture")
    try:
        for data in plots:
            data["image/png"] = banded(data["image/png"], bands)
    except ValueError as error:
        raise SlideError(f"has slide_bands: {error}") from None
    return copy


def shown(cell: NotebookNode, kind: str) -> Iterator[tuple[str, list[NotebookNode], list[str]]]:
    """Return of each slide that shows some of a cell: how it starts, its cells, and what the speaker sees."""
    text, said, bands = lines(cell, "slide"), parts(lines(cell, "notes") or ""), lines(cell, "slide_bands")
    texts = [""] if text is None else parts(text)
    if len(said) > len(texts):
        raise SlideError(f"has notes for {len(said)} slides, and text for {len(texts)}")
    said += [""] * (len(texts) - len(said))
    if cell.cell_type == "markdown":
        if text is None:
            texts = [cell.source]
        else:
            said[0] += f"\n\n{cell.source}"
        for number, (part, notes) in enumerate(zip(texts, said, strict=True), start=1):
            yield kind, [markdown(cell, f"slide{number}", kind, on_slide(part))], [notes]
            kind = "slide"
        return
    if cell.cell_type != "code":
        raise SlideError(f"is {cell.cell_type}; slides show Markdown and code")
    pieces = [""] if bands is None else bands.splitlines()
    if len(pieces) > len(texts):
        raise SlideError(f"has slide_bands for {len(pieces)} slides, and text for {len(texts)}")
    *words, first = range(len(texts) - len(pieces) + 1)
    for place in words:
        yield kind, [markdown(cell, f"slide{place + 1}", kind, on_slide(texts[place]))], [said[place]]
        kind = "slide"
    whole, figure = nbformat.from_dict(cell), cell.metadata.get("mystnb", {})
    notes = beside(whole)
    if caption := figure.get("figure", {}).get("caption"):
        notes.append(f"*Figure.* {caption}")
    code = cell.metadata.get("slide_code", not HIDDEN & tags(cell))
    for place, piece in enumerate(pieces, start=first):
        above = [markdown(cell, f"slide{place + 1}", kind, on_slide(texts[place]))] if texts[place] else []
        copy = with_bands(whole, piece) if piece else whole
        copy.metadata = nbformat.from_dict({"slideshow": {"slide_type": "-" if above else kind},
                                            "alt": figure.get("image", {}).get("alt", ""),
                                            "transient": {"remove_source": not code}})
        yield kind, [*above, copy], [said[place], *notes]
        kind, notes = "slide", []


def slides_of(notebook: NotebookNode, number: int | None = None, book: str = "") -> list[Slide]:
    """Return the slides of a chapter.

    Raises
    ------
    SlideError
        Naming the cell, if its metadata can't be made into a slide.
    """
    slides: list[Slide] = []
    for place, cell in enumerate(notebook.cells, start=1):
        try:
            if place == 1:
                slides.append(title_slide(cell, number, book))
            add(slides, cell)
        except ValueError as error:
            raise SlideError(f"cell {place} ({cell.id}) {error}") from None
    return slides


def add(slides: list[Slide], cell: NotebookNode) -> None:
    """Add what the slides show of a cell, to the last slide or as new ones."""
    kind = slide_type(cell)
    if kind is None:
        return
    if kind == "notes" and cell.cell_type == "markdown":
        slides[-1].notes.append(for_speaker(cell.source))
    elif kind == "slide" and ANSWER.search(cell.source) and "slide" not in cell.metadata:
        questions = list(question_slides(cell))
        questions[0].notes.insert(0, for_speaker(lines(cell, "notes") or ""))
        slides += questions
    else:
        for start, cells, notes in shown(cell, kind):
            if start == "slide":
                slides.append(Slide())
            elif len(slides) == 1:
                raise SlideError(f"has the slide_type {kind!r}, but no cell before it starts a slide")
            slides[-1].cells += cells
            slides[-1].notes += map(for_speaker, notes)


def deck(notebook: NotebookNode, number: int | None = None, book: str = "") -> NotebookNode:
    """Return a chapter's slides as a notebook for nbconvert.

    Parameters
    ----------
    notebook
        A chapter, with its outputs. It isn't changed.
    number
        The chapter's number, if it has one.
    book
        The book's name.

    Raises
    ------
    SlideError
        Naming the cell, if its metadata can't be made into a slide.
    """
    cells = []
    for slide in slides_of(notebook, number, book):
        first, *rest = slide.cells
        notes = "\n\n".join(note.strip() for note in slide.notes if note.strip())
        cells += [first, *([markdown(first, "notes", "notes", notes)] if notes else []), *rest]
    title = TITLE.match(notebook.cells[0].source)[1]
    return new_notebook(cells=cells, metadata=notebook.metadata | {"title": title})


def lesson_numbers() -> dict[str, int]:
    """Return the number of each chapter that is a lesson, by its path in the book, in the book's order."""
    return {name_of(path): number for number, path in in_order() if number}


def read_deck(path: Path, book: str) -> NotebookNode | None:
    """Return the slides of a chapter by its path; None if it has none."""
    notebook = nbformat.read(path, as_version=4)
    try:
        return deck(notebook, lesson_numbers().get(name_of(path)), book) if has_slides(notebook) else None
    except SlideError as error:
        raise SlideError(f"{name_of(path)}, {error}") from None
