"""What the pages of the course name exists, their code runs, and their numbers are those of the records."""

import ast
import builtins
import re
import shlex
import shutil
from pathlib import Path

import nbformat
import pytest

from minivit.analysis import compare_pairs
from minivit.arguments import parse
from minivit.training import RESULTS, load_variants, read_record, read_records
from tools.outline import numbered
from tools.paths import ROOT

COURSE = ROOT / "course"
PAGES = sorted(COURSE.rglob("*.md"))
CHAPTERS = {it.path: it for it in numbered().values()}

LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
# "*A section*, *another* and *a third* in [its chapter](path)", or "*A* to *B* in [...]".
SECTIONS = re.compile(r"((?:\*[^*|\n]+\*(?:, | and | to |\s+in\s+))+)\[[^\]]+\]\(([^)\s]+\.(?:ipynb|md))\)")
EXERCISES = re.compile(r"\bexercises? ((?:\d+(?:, | and )?)+) of \[[^\]]+\]\(([^)\s]+\.ipynb)\)")
FILE = re.compile(r"`((?:book|course|minivit|recipes|results|scripts|tests|tools)/[\w./-]+)`")
TARGET = re.compile(r"`make ([a-z-]+)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)



def name(path):
    return path.relative_to(COURSE).as_posix()


pages = pytest.mark.parametrize("path", PAGES, ids=name)
# The code in a rubric is an answer, whose names are those of its assignment. The round trip runs answers.
programs = pytest.mark.parametrize("path", [path for path in PAGES if path.name != "rubric.md"], ids=name)


def text_of(path):
    return path.read_text(encoding="utf-8")


def blocks(path, language):
    return [block for name, block in BLOCK.findall(text_of(path)) if name == language]


def headings(path):
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = text_of(path)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def anchors(path):
    """Return what GitHub makes of the headings of a page."""
    return {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in headings(path)}


@pages
def test_links_lead_somewhere(path):
    for link in LINK.findall(text_of(path)):
        if "://" not in link:
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), link
            assert not place or place in anchors(target), f"{link}: {sorted(anchors(target))}"


@pages
def test_sections_that_are_named_with_their_chapter_are_in_it(path):
    for names, file in SECTIONS.findall(text_of(path)):
        titles = [" ".join(title.split()) for title in headings((path.parent / file).resolve())]
        for name in re.findall(r"\*([^*]+)\*", names):
            assert any(title.startswith(" ".join(name.split())) for title in titles), f"{name}: {titles}"


@pages
def test_exercises_that_are_named_with_their_chapter_are_in_it(path):
    for numbers, file in EXERCISES.findall(text_of(path)):
        exercises = CHAPTERS[(path.parent / file).resolve()].exercises
        assert {int(number) for number in re.findall(r"\d+", numbers)} <= exercises.keys(), f"{file}: {numbers}"


@pages
def test_files_and_commands_of_make_exist(path):
    made = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(TARGET.findall(text_of(path))) <= made
    for name in FILE.findall(text_of(path)):
        assert (ROOT / name).exists(), name


@pages
def test_commands_are_ones_that_the_package_knows(path):
    for block in blocks(path, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words[1:3] == ["-m", "minivit"]:
                options = parse(words[3:])
                if recipe := getattr(options, "recipe", None):
                    assert Path(ROOT, recipe).exists(), recipe
                    unknown = set(getattr(options, "variants", None) or ()) - load_variants(ROOT / recipe).keys()
                    assert not unknown, unknown


@programs
def test_python_runs(path, tmp_path):
    """The code of a page is one program; a block that begins with a docstring is a recipe of its own."""
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("__pycache__"))
    program = []
    for block in blocks(path, "python"):
        if block.startswith('"""'):
            recipe = tmp_path / "recipes" / re.search(r"recipes/(\w+\.py)", block)[1]
            recipe.write_text(block, encoding="utf-8")  # in place of the one that a group's pull request has brought
            assert len(load_variants(recipe)) > 1
        else:
            program.append(block)
    exec("\n".join(program), {})


@pages
def test_code_for_a_notebook_uses_names_that_the_notebook_has(path):
    """The notebook is the last one that the page links to before the code."""
    text = text_of(path)
    for block in blocks(path, "ipython"):
        notebook = (path.parent / re.findall(r"\]\(([^)\s]+\.ipynb)\)", text[:text.index(block)])[-1]).resolve()
        cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
        known = names("\n".join(cells), ast.Store) | names(block, ast.Store) | set(dir(builtins))
        assert names(block, ast.Load) <= known


def names(code, use):
    """Return the names that a program reads (``ast.Load``), or those that it makes (``ast.Store``)."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, use):
            found.add(node.id)
        elif use is ast.Store and isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif use is ast.Store and isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


def difference(recipe, plus, minus):
    """Return a difference of records in top-1, as the briefs write it."""
    runs = read_records(RESULTS / recipe)
    seeds = sorted(runs[plus].keys() & runs[minus].keys())
    pairs = [runs[plus][seed][1][-1]["test_top1"] - runs[minus][seed][1][-1]["test_top1"] for seed in seeds]
    it = compare_pairs({"top1": pairs})["top1"]
    return f"{it.mean:+.2f} [{it.low:+.2f}, {it.high:+.2f}] points"


def test_briefs_quote_the_records():
    briefs = {path.stem: " ".join(text_of(path).split()) for path in (COURSE / "projects").glob("*.md")}
    assert difference("cifar100_lavit_nano_sign", "la_adamw", "va_adamw") in briefs["reuse"]
    sign = read_records(RESULTS / "cifar100_lavit_nano_sign")
    minutes = [run[1][-1]["time_s"] / 60 for name in ("la_adamw", "va_adamw") for run in sign[name].values()]
    assert f"took {min(minutes):.1f} to {max(minutes):.1f} minutes each" in briefs["reuse"]

    assert difference("cifar100_vit_tiny_record", "cb", "plain") in briefs["longer"]
    tiny = read_records(RESULTS / "cifar100_vit_tiny_record")
    assert {round(run[1][-1]["time_s"], -1) for name in tiny for run in tiny[name].values()} == {50}

    plain, cb = (read_record(RESULTS / f"shapes_vit_nano_segmentation{which}/seed0")[1][-1] for which in ("", "_cb"))
    assert f"{plain['test_miou']:.2f} % mean IoU without and {cb['test_miou']:.2f} % with CB" in briefs["places"]
    assert {round(it["time_s"] / 60) for it in (plain, cb)} == {5}
