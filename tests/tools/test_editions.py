"""The learner's edition holds the question and not the answer."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.editions import MarkerError, learner_edition, without_solutions

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


def test_a_solution_becomes_a_line_to_fill_in_as_indented_as_it_was():
    assert without_solutions(MARKED) == "def halve(x):\n    ...  # your code\n\n...  # your code"


def test_what_is_left_still_compiles():
    compile(without_solutions(MARKED), "cell", "exec")


def test_without_markers_the_whole_cell_is_the_solution():
    assert without_solutions("answer = 42") == "# your code here"


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
        ]
    )
    learner = learner_edition(notebook)
    assert [cell.source for cell in learner.cells] == [
        "### Exercise",
        without_solutions(MARKED),
        "assert halve(4) == 2",
    ]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in learner.cells[1:])
    assert notebook.cells[1].source == MARKED and notebook.cells[1].outputs, "the instructor's notebook was changed"
