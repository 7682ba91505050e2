"""The learner's edition holds the question and not the answer."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.editions import folded_in_html, for_any_jupyter, learner_edition, reader_edition
from tools.notebooks import notebook_paths
from tools.paths import ROOT
from tools.stubs import MarkerError

MARKED = """\
def halve(x):
    ### BEGIN SOLUTION
    half = x / 2
    return half
    ### END SOLUTION

### BEGIN SOLUTION
print(halve(3))
### END SOLUTION
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("### BEGIN SOLUTION\nx = 1", "without"),
        ("x = 1\n### END SOLUTION", "line 2.*without a beginning"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "line 2.*inside a solution"),
    ],
)
def test_markers_that_do_not_pair_are_an_error_that_names_the_cell(source, message):
    cells = [new_markdown_cell("# Title"), new_code_cell(source, metadata={"tags": ["solution"]})]
    with pytest.raises(MarkerError, match=f"cell 2, .*{message}"):
        learner_edition(new_notebook(cells=cells))


def test_learner_edition_keeps_everything_but_solutions_and_outputs():
    def ran(source, *tags):
        output = new_output("stream", name="stdout", text="7\n")
        return new_code_cell(source, metadata={"tags": list(tags)}, outputs=[output], execution_count=5)

    notebook = new_notebook(
        cells=[
            new_markdown_cell("### Exercise"),
            ran(MARKED, "solution"),
            ran("assert halve(4) == 2", "check"),
            new_markdown_cell("Because.", metadata={"tags": ["solution"]}),
            new_markdown_cell("Two marks.", metadata={"tags": ["instructor", "remove-cell"]}),
        ]
    )
    learner = learner_edition(notebook)
    assert [cell.source for cell in learner.cells] == [
        "### Exercise",
        "def halve(x):\n    ...  # your code\n\n# your code",
        "assert halve(4) == 2",
    ]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in learner.cells[1:])
    assert notebook.cells[1].source == MARKED and notebook.cells[1].outputs, "the instructor's notebook was changed"


def test_a_name_that_a_later_cell_needs_is_open_until_a_cell_in_between_gives_it_a_value():
    solution = new_code_cell("a, b, c = 1, 2, 3", metadata={"tags": ["solution"]})
    below = [new_code_cell("c = 4"), new_markdown_cell("a"), new_code_cell("%time print(1)\nprint(b + c)")]
    learner = learner_edition(new_notebook(cells=[solution, *below]))
    assert learner.cells[0].source == "b = ...  # your code"


def test_a_hint_folds_in_any_jupyter_and_stays_closed():
    hint = "Why?\n\n:::{hint}\n:class: dropdown\nTake $\\ln 3$.\n\nThen halve it.\n:::\n\nGo on."
    folded = "<details>\n<summary><b>Hint</b></summary>\n\nTake $\\ln 3$.\n\nThen halve it.\n\n</details>"
    assert folded_in_html(hint) == f"Why?\n\n{folded}\n\nGo on."


def test_a_box_with_a_title_is_open_and_one_within_code_is_left():
    box = "::::{admonition} Where it differs\n:class: note\nHere.\n::::"
    assert folded_in_html(box) == ("<details open>\n<summary><b>Where it differs</b></summary>\n\nHere.\n\n</details>")
    assert folded_in_html("x ::: y\n::: z") == "x ::: y\n::: z"


@pytest.mark.parametrize("path", notebook_paths(ROOT), ids=lambda path: path.stem)
def test_no_directive_of_the_book_is_left(path):
    portable = for_any_jupyter(nbformat.read(path, as_version=4))
    for cell in portable.cells:
        if cell.cell_type == "markdown":
            assert not [mark for mark in (":::", "](#", "](<#", "{cite") if mark in cell.source], cell.source


def test_a_figure_has_its_caption_and_a_link_within_the_book_is_words():
    figure = new_code_cell("draw()", metadata={"mystnb": {"figure": {"name": "fig-x", "caption": "As in [A](#a)."}}})
    text = new_markdown_cell("See [the figure](#fig-x) of a [**class token**](<#class token>) {cite}`x2020y`, "
                             "[next](b.ipynb).")
    first, caption, second = for_any_jupyter(new_notebook(cells=[figure, text])).cells
    assert (first.source, caption.source) == ("draw()", "*Figure.* As in A.")
    assert second.source == "See the figure of a **class token**, [next](b.ipynb)."


def test_code_that_a_page_folds_is_folded_but_for_what_is_to_be_filled_in():
    cells = [new_code_cell(source, metadata={"tags": tags}) for source, tags in (
        ("import numpy", ["hide-input"]), ("x = 1", []), (MARKED, ["solution", "hide-cell"]))]
    notebook = new_notebook(cells=cells)

    def folded(edition):
        return [cell.metadata.get("jupyter") == {"source_hidden": True} for cell in edition.cells]

    assert folded(reader_edition(notebook)) == [True, False, True]
    assert folded(learner_edition(for_any_jupyter(notebook))) == [True, False, False]
    assert "SOLUTION" not in reader_edition(notebook).cells[2].source


def test_the_package_is_installed_where_it_is_missing_once_the_address_is_known():
    notebook = new_notebook(cells=[new_markdown_cell("# Title")])
    assert for_any_jupyter(notebook) == notebook
    install, title = for_any_jupyter(notebook, "https://example.org/someone/book/").cells
    assert title.source == "# Title"
    assert '%pip install --quiet "minivit[figures] @ git+https://example.org/someone/book"' in install.source
    exec(install.source.replace("%pip", "raise AssertionError  # "), {})  # here it is not missing
