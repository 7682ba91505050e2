"""What every chapter owes its reader, checked on the notebooks as they stand in the repository."""

import re
from pathlib import Path

import nbformat
import pytest
import yaml
from markdown_it import MarkdownIt

from tools.budget import budget_of, most
from tools.notebooks import notebook_paths, sections, stored_problem, tags
from tools.paths import ROOT

BOOK = ROOT / "book"
NOTEBOOKS = notebook_paths(ROOT)
QUESTIONS, VERDICTS = ([path for path in NOTEBOOKS if path.stem == stem] for stem in ("check_yourself", "verdict"))
# What ends a part, and what follows the last one, has no box and no exercises.
CHAPTERS = [path for path in NOTEBOOKS
            if path not in QUESTIONS + VERDICTS and "appendix" not in path.relative_to(BOOK).parts]
PAGES = NOTEBOOKS + sorted(BOOK.rglob("*.md"))

IMAGES = ("image/png", "image/svg+xml", "image/jpeg")
SHORTEST_ALT = 40
MACHINE_PATH = re.compile(r"(?<![\w.:/~])/(?:home|Users|root|tmp|opt|work|mnt|var|content)/\w")
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


def name(path: Path) -> str:
    return path.relative_to(BOOK).as_posix()


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def prose(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


chapters = pytest.mark.parametrize("path", CHAPTERS, ids=name)
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
pages = pytest.mark.parametrize("path", PAGES, ids=name)


@chapters
def test_four_exercises_each_with_hint_solution_and_check(path):
    found = sections(read(path), r"Exercise \d")
    assert len(found) >= 4, f"exercises: {list(found)}"
    for heading, cells in found.items():
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert re.search(r"^:{3,}\{(hint|dropdown|admonition)\}.*\n?.*", text, re.MULTILINE), f"{heading}: no hint"
        assert "dropdown" in text and "hint" in text.lower(), f"{heading}: no hint that folds"
        assert {"solution", "check"} <= set().union(*map(tags, cells)), f"{heading}: lacks a solution or a check"


@pytest.mark.parametrize("path", QUESTIONS, ids=name)
def test_twelve_questions_each_answered_by_a_cell(path):
    found = sections(read(path), r"Question \d")
    assert len(found) == 12
    for heading, cells in found.items():
        answers = [cell for cell in cells if cell.cell_type == "code"]
        assert answers and all({"solution", "hide-cell"} <= tags(cell) for cell in answers), heading


@chapters
def test_says_where_the_code_differs_from_the_paper(path):
    assert re.search(r"^:{3,}\{\w+\} Where this code differs from the paper", prose(path), re.MULTILINE)


@notebooks
def test_images_have_alt_text(path):
    for cell in code_cells(path):
        if any(image in output.get("data", {}) for output in cell.outputs for image in IMAGES):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= SHORTEST_ALT, f"alt text {alt!r} in the metadata of the cell\n{cell.source}"
        for output in cell.outputs:
            for alt in re.findall(r'<img alt="([^"]*)"', output.get("data", {}).get("text/html", "")):
                assert len(alt) >= SHORTEST_ALT, f"alt text {alt!r} of the figure with a slider\n{cell.source}"


@chapters
def test_opens_with_a_figure_before_it_says_what_it_teaches(path):
    cells = read(path).cells
    goals = next(i for i, cell in enumerate(cells) if "**You will be able to**" in cell.source)
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ") and goals <= 5
    opening = [cell for cell in cells[:goals] if cell.cell_type == "code"]
    assert all("hide-input" in tags(cell) for cell in opening), "code before the goals is folded"
    assert any("figure" in cell.metadata.get("mystnb", {}) for cell in opening), "no figure before the goals"


@notebooks
def test_code_fits_a_page(path):
    for cell in code_cells(path):
        lines = cell.source.splitlines()
        assert max(map(len, lines), default=0) <= 80, f"a page shows 80 characters\n{cell.source}"
        assert len(lines) <= 40 or tags(cell) & {"hide-input", "hide-cell"}, f"fold this cell\n{cell.source}"


@notebooks
def test_every_figure_has_a_caption_that_the_text_refers_to(path):
    for cell in code_cells(path):
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        shown = any(image in output.get("data", {}) for output in cell.outputs for image in IMAGES)
        assert not shown or figure.get("caption"), f"no caption\n{cell.source}"
        assert not figure or f"(#{figure['name']})" in prose(path), f"the text does not refer to {figure['name']}"
        rich = [output for output in cell.outputs if "data" in output]
        assert not figure or len(rich) == 1, f"each of these outputs would be a figure of that name\n{cell.source}"


@notebooks
def test_its_budget_is_within_what_a_notebook_may_take(path):
    assert not budget_of(read(path)).exceeds(most(read(path)))


@notebooks
def test_outputs_are_stored_and_are_those_of_a_clean_run(path):
    assert stored_problem(path) is None, "run `make notebooks`"
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.get("name") != "stderr", f"a warning is stored under\n{cell.source}"


@notebooks
def test_outputs_name_no_path_of_a_machine(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            texts = [output.get("text", ""), *(v for k, v in output.get("data", {}).items() if k.startswith("text/"))]
            found = [match.group() for text in texts for match in MACHINE_PATH.finditer(text)]
            assert not found, f"{found} under\n{cell.source}"


@notebooks
def test_kernel_is_that_of_the_environment(path):
    assert read(path).metadata.kernelspec.name == "python3"


@notebooks
def test_directives_are_fenced_by_colons(path):
    """A fence of backticks shows as code in plain JupyterLab; one of colons still reads as text."""
    fences = re.findall(r"^`{3,}\{[\w:-]+\}", prose(path), re.MULTILINE)
    assert not fences


@pages
def test_citations_are_in_the_bibliography(path):
    known = set(re.findall(r"^@\w+\{(.+),$", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    cited = {key.strip() for keys in CITATION.findall(prose(path)) for key in keys.split(",")}
    assert cited <= known


def test_chapters_have_one_number_in_the_sidebar_the_introduction_and_the_course():
    parts = yaml.safe_load((BOOK.parent / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    sidebar = [f"{chapter['file']}.ipynb" for part in parts if "numbered" in part for chapter in part["chapters"]]
    listed = re.findall(r"^  (\d+)\. \[(.+?)\]\((.+?)\)", (BOOK / "intro.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [file for _, _, file in listed] == sidebar
    assert [number for number, _, _ in listed] == [str(number) for number in range(1, len(sidebar) + 1)]
    course = (BOOK.parent / "course" / "lessons.md").read_text(encoding="utf-8")
    assert re.findall(r"^## Lesson (\d+)\. (.+)$", course, re.MULTILINE) == [entry[:2] for entry in listed]
    assert re.findall(r"^\| (\d+) \| (.+?) \|", course, re.MULTILINE) == [entry[:2] for entry in listed]


def test_every_page_is_in_the_table_of_contents():
    toc = (BOOK.parent / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?:file|root): *(\S+)", toc))
    assert {path.relative_to(BOOK).with_suffix("").as_posix() for path in PAGES} == listed


@pages
def test_every_list_begins_and_ends_where_it_should(path):
    """A list that begins with 6 needs an empty line before it; else it runs on, and what is indented becomes code."""
    tokens = MarkdownIt().parse(prose(path))
    assert [token.content for token in tokens if token.type == "code_block"] == []
    swallowed = re.compile(r"^ *\d+\. \[", re.MULTILINE)
    assert [token.content for token in tokens if token.type == "inline" and swallowed.search(token.content)] == []


GUIDE = ("Time.", "On the board.", "Where students stop.", "Misconceptions.", "When time is short.", "Marking")


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_notes_for_the_instructor_are_a_guide_to_the_lesson(path):
    notes, = (cell.source for cell in read(path).cells if "instructor" in tags(cell))
    found = re.findall(rf"^\*\*({'|'.join(map(re.escape, ('Before the lesson.', *GUIDE)))})\*\*", notes, re.MULTILINE)
    assert found in (list(GUIDE), [GUIDE[0], "Before the lesson.", *GUIDE[1:]])
    parts = dict(zip(found, re.split(r"^\*\*[A-Z][a-z ]+\.?\*\*", notes, flags=re.MULTILINE)[1:], strict=True))
    assert re.search(r"\b\d+ minutes", parts["Time."]) and re.search(r"slow\s+laptop", parts["Time."])
    stops, wrong = (re.findall(r"^- (.+(?:\n  .+)*)", parts[part], re.MULTILINE)
                    for part in ("Where students stop.", "Misconceptions."))
    assert 2 <= len(stops) <= 4 and 3 <= len(wrong) <= 5
    assert [each for each in wrong if not each.startswith('*"') or "?" not in each] == [], "a sentence, and a question"
