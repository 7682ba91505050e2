"""The instructor's guide has every chapter, and what it sends its reader to is there."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from tools import guide
from tools.book import NOTEBOOKS_BRANCH
from tools.budget import declared
from tools.notebooks import in_order, tags
from tools.outline import chapter, check_yourself, lessons
from tools.paths import ROOT

TEXT = (ROOT / guide.SOURCE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shown():
    return BeautifulSoup("\n".join(guide.body()), "html.parser")


def test_the_general_part_comes_first_with_all_its_sections(shown):
    titles = [title.text for title in shown("h2")]
    written = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    assert titles[:len(written)] == written and len(written) >= 12
    assert guide.general()[0] == "Instructor's guide" and guide.general()[1]


@pytest.mark.parametrize(("number", "path"), [it for it in in_order() if it[0]], ids=lambda it: getattr(it, "stem", it))
def test_every_chapter_has_its_costs_its_plan_and_its_notes(shown, number, path):
    notebook = nbformat.read(path, as_version=4)
    cost = declared(notebook)
    section = guide.chapter(number, notebook, lessons()[number])
    text = " ".join(BeautifulSoup(section, "html.parser").text.split())
    assert f"{cost.cpu_s:g} CPU seconds ({3 * cost.cpu_s:g} on a slow laptop) and {cost.memory_gb:g} GB" in text
    for part in (f"Chapter {number}. ", "Minutes", "0–", "Time.", "Misconceptions.", "Marking"):
        assert part in text, part
    assert section in "\n".join(guide.body())


@pytest.mark.parametrize("path", [path for _, path in in_order()], ids=lambda path: path.stem)
def test_what_the_notes_of_a_chapter_name_is_in_it(path):
    notebook, outline = nbformat.read(path, as_version=4), chapter(path)
    notes = re.sub(r"\$[^$]*\$", "", guide.notes(notebook))
    text = " ".join(" ".join([*cell.source.split(), *cell.metadata.get("slide", [])]) for cell in notebook.cells
                    if "instructor" not in tags(cell))
    for numbers in re.findall(r"[Ee]quations? \(?(\d+(?:\)?(?:, | and | to )\(?\d+)*)", notes):
        assert all(rf"\tag{{{number}}}" in text for number in re.findall(r"\d+", numbers)), f"equation {numbers}"
    for kind, found in (("[Ee]xercise", outline.exercises), ("[Qq]uestion", outline.questions or check_yourself())):
        for numbers in re.findall(rf"{kind}s? (\d+(?:(?:, | and | to )\d+(?! minutes))*)", " ".join(notes.split())):
            assert {int(number) for number in re.findall(r"\d+", numbers)} <= {*found}, f"{kind} {numbers}"
    for words in re.findall(r"(?<![*\w])\*([A-Z][^*]+)\*(?!\*)", notes):
        said = " ".join(words.split()).rstrip(".,:")
        assert re.match(r"(Exercises?|Question) \d|For a second reading", said) or said in text, f"*{said}* is nowhere"
    for seconds in re.findall(r"(\d+)\s+seconds\s+on\s+a\s+slow\s+laptop", notes):
        assert int(seconds) == guide.SLOW * declared(notebook).cpu_s


def test_the_table_of_costs_has_every_notebook(shown):
    rows = guide.overview().splitlines()[2:]
    assert len(rows) == len(in_order()) and all(re.search(r"\| \d+ \| \d+ \| [\d.]+ \|$", row) for row in rows)
    assert "{" not in re.sub(r"\$.*?\$|`[^`]*`", "", guide.general()[2].replace("{overview}", ""))


def test_files_that_the_guide_names_exist():
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (ROOT / "course" / name).exists(), name
    for name in re.findall(r"`((?:book|course|binder|tools|results)[/\w.]*)`", TEXT):
        assert (ROOT / name).exists(), name
    assert f"branch `{NOTEBOOKS_BRANCH}`" in TEXT


def test_commands_that_the_guide_names_exist():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = [*re.findall(r"^(?:\S+=\S+ )*make (.*)$", TEXT, re.MULTILINE), *re.findall(r"`make ([^`]+)`", TEXT)]
    named = {word for command in commands for word in command.partition("#")[0].split() if "=" not in word}
    assert named and named <= targets, named - targets


def test_the_guide_names_no_index_of_packages():
    assert set(re.findall(r"https?://([\w.-]+)", TEXT)) <= {"pytorch.org"}
