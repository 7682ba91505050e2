"""The index of the search: sections with their text, in which formulas read like text."""

import json
import subprocess
import sys

import pytest
from docutils import nodes

from tools.paths import ROOT
from tools.search import plain, sections


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\lambda", "λ"),
        (r"\varepsilon \le 10^{-5}", "ε ≤ 10⁻⁵"),
        (r"\lVert\mathbf{a}\rVert^2", "‖a‖²"),
        (r"\ln N", "ln N"),
        (r"\tfrac12 (I + \mathbf{1}\mathbf{1}^\top/N)", "1/2 (I + 11ᵀ/N)"),
    ],
)
def test_a_short_formula_reads_like_text(tex, text):
    assert plain(tex) == text


def test_a_section_has_its_own_text_and_the_titles_above_it():
    inner = nodes.section("", nodes.title("", "Inner"), nodes.paragraph("", "two ", nodes.math("", r"\rho")),
                          nodes.literal_block("", "x = 1"), nodes.math_block("", "left out"), ids=["inner"])
    outer = nodes.section("", nodes.title("", "Outer"), nodes.paragraph("", "one"), inner, ids=["outer"])
    page = nodes.section("", nodes.title("", "Page"), nodes.paragraph("", "zero"), outer, ids=["page"])
    document = nodes.document(None, None, "", page)
    assert sections(document) == [["page", "", "zero", ""], ["outer", "Outer", "one", ""],
                                  ["inner", "Outer › Inner", "two ρ", "x = 1"]]


def test_words_of_a_glossary_are_found_by_themselves():
    item = nodes.definition_list_item("", nodes.term("", "logit", ids=["term-logit"]),
                                      nodes.definition("", nodes.paragraph("", "A number.")))
    page = nodes.section("", nodes.title("", "Glossary"), nodes.definition_list("", item), ids=["glossary"])
    assert sections(nodes.document(None, None, "", page))[1] == ["term-logit", "logit", "A number.", ""]


def test_a_page_that_is_not_written_again_stays_in_the_index(tmp_path):
    (tmp_path / "conf.py").write_text("extensions = ['tools.search']\n", encoding="utf-8")
    (tmp_path / "index.rst").write_text("One\n===\n\n.. toctree::\n   :hidden:\n\n   other\n", encoding="utf-8")
    (tmp_path / "other.rst").write_text("Two\n===\n\nText.\n", encoding="utf-8")
    build = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(tmp_path), str(tmp_path / "html")]
    for text in ("Text.", "Changed."):
        (tmp_path / "other.rst").write_text(f"Two\n===\n\n{text}\n", encoding="utf-8")
        subprocess.run(build, cwd=ROOT, check=True)
        script = (tmp_path / "html" / "_static" / "search-index.js").read_text(encoding="utf-8")
        pages = json.loads(script.removeprefix("const BOOK_SECTIONS = ").rstrip(";\n"))
        assert pages == [["index.html", "One", [["one", "", "", ""]]], ["other.html", "Two", [["two", "", text, ""]]]]
